/**
 * @file values.hpp
 * What the calls of fugo::Linkage take and give.
 */
#ifndef FUGO_VALUES_HPP_
#define FUGO_VALUES_HPP_

#include <fugo/fugo.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace fugo {

/** What became of one item, or of a call as a whole: ::fugo_status_value. */
enum class LinkStatus : std::int32_t {
  kOk = FUGO_OK,                              /**< done */
  kNotIssued = FUGO_NOT_ISSUED,               /**< this agency has no symbol for this person */
  kUnknown = FUGO_UNKNOWN,                    /**< no such person, or never issued to the agency */
  kSuperseded = FUGO_SUPERSEDED,              /**< the person's resident code was changed */
  kBadSymbol = FUGO_BAD_SYMBOL,               /**< form or check character */
  kUnknownAgency = FUGO_UNKNOWN_AGENCY,       /**< no open agency has this code or number */
  kFrozen = FUGO_FROZEN,                      /**< linking was stopped by an operator */
  kQuotaExceeded = FUGO_QUOTA_EXCEEDED,       /**< the inquiring agency's limit of the day */
  kUnavailable = FUGO_UNAVAILABLE,            /**< no answer, or uses not counted: ask later */
  kIndexTooLarge = FUGO_INDEX_TOO_LARGE,      /**< the agency's table does not fit its memory */
  kForked = FUGO_FORKED,                      /**< the handle belongs to another process */
  kBadCall = FUGO_BAD_CALL,                   /**< a Linkage that was moved from */
  kBadConfiguration = FUGO_BAD_CONFIGURATION, /**< configuration missing, or with mistakes */
  kRefused = FUGO_REFUSED,                    /**< cannot be done as asked */
  kDamaged = FUGO_DAMAGED,                    /**< the ledger does not hold together */
  kIo = FUGO_IO,                              /**< a file could not be read */
  kInternal = FUGO_INTERNAL,                  /**< a mistake in the library itself */
};

/** The name of a status: "ok", "not_issued", ... */
[[nodiscard]] inline std::string_view name_of(LinkStatus status) noexcept {
  return ::fugo_status_name(static_cast<fugo_status>(status));
}

/** An agency of the ledger; default-made it is none, which every call calls kUnknownAgency. */
class Agency {
 public:
  Agency() = default;
  /** @param number as an Agency gave it, in whatever process */
  explicit Agency(fugo_agency number) noexcept : number_(number) {}
  /** Its number in the ledger, which may be stored; 0: none. */
  [[nodiscard]] fugo_agency number() const noexcept { return number_; }
  /** Whether it is an agency. */
  explicit operator bool() const noexcept { return number_ != 0; }
  /** The same agency. */
  friend bool operator==(const Agency&, const Agency&) = default;

 private:
  fugo_agency number_ = 0;
};

/** A symbol that the library gave; empty where there is none. */
class Symbol {
 public:
  Symbol() = default;
  /** Its 27 characters, or none; the view lasts as long as this object. */
  [[nodiscard]] std::string_view text() const noexcept { return raw_.text; }
  /** Whether there is none. */
  [[nodiscard]] bool empty() const noexcept { return raw_.text[0] == '\0'; }
  /** The same symbol. */
  friend bool operator==(const Symbol& a, const Symbol& b) noexcept { return a.text() == b.text(); }

 private:
  friend class Linkage;
  fugo_symbol raw_{};
};

/**
 * A person, within the Linkage that gave it and nowhere else. It cannot be printed, stored or made
 * from anything: keep it as long as the Linkage lives. The same person compares equal.
 * Default-made it is nobody, which every call calls kUnknown.
 */
class Person {
 public:
  Person() = default;
  /** The same person, as the same Linkage gave it. */
  friend bool operator==(const Person& a, const Person& b) noexcept {
    return a.raw_.opaque[0] == b.raw_.opaque[0] && a.raw_.opaque[1] == b.raw_.opaque[1];
  }

 private:
  friend class Linkage;
  fugo_person raw_{};
};

/** A symbol, and the agency that it was issued to. The text must last as long as the call. */
struct SymbolOf {
  Agency agency;         /**< whose symbol it is */
  std::string_view text; /**< 27 characters; anything else is kBadSymbol */
};

/** A person, and an agency that is asked about. */
struct PersonAt {
  Person person; /**< as resolve() gave it */
  Agency agency; /**< who may have a symbol for the person */
};

/** One inquiry: a symbol of the inquirer, and the provider whose symbol is wanted. */
struct Inquiry {
  Agency from;           /**< the inquirer */
  Agency to;             /**< the provider */
  std::string_view text; /**< the inquirer's symbol */
};

/** Answer of resolve(). */
struct Resolved {
  LinkStatus status = LinkStatus::kInternal; /**< of this item */
  Person person;                             /**< nobody unless kOk */
  std::uint32_t version = 0;                 /**< symbol version of the symbol; 0 unless kOk */
};

/** Answer of symbol_for() and record_symbol(). */
struct Converted {
  LinkStatus status = LinkStatus::kInternal; /**< of this item */
  Symbol symbol;                             /**< empty unless kOk */
};

/** Answer of link(). */
struct Linked {
  LinkStatus status = LinkStatus::kInternal; /**< of this item */
  Symbol symbol;                             /**< the provider's; empty unless kOk */
  Symbol record;                             /**< the record symbol; empty unless kOk */
  std::uint32_t version = 0;                 /**< of the inquirer's symbol; 0 unless kOk */
};

/** Why a call as a whole failed. */
struct LinkageError {
  LinkStatus status = LinkStatus::kInternal; /**< what kind of failure */
  std::string message;                       /**< what is wrong, where, and what to do */
};

/** How an open ledger does: fugo_health_report. */
struct LinkageHealth {
  LinkStatus status = LinkStatus::kInternal; /**< kOk: the rest is filled in */
  std::uint64_t index_entries = 0;           /**< issuances in the tables */
  std::uint64_t index_bytes = 0;             /**< memory that the tables take */
  std::uint64_t index_agencies = 0;          /**< tables */
  std::uint64_t index_evictions = 0;         /**< tables that went because memory was full */
  std::uint64_t combined_calls = 0;          /**< calls of few items ... */
  std::uint64_t combined_runs = 0; /**< ... and runs that answered them, alone or together */
  std::string last_error;          /**< empty: none so far */
};

/** When the tables are built that resolve one-way symbols. */
enum class Index : std::uint32_t {
  kConfigured = FUGO_INDEX_CONFIGURED, /**< as the configuration says */
  kLazy = FUGO_INDEX_LAZY,             /**< an agency's at the first symbol of it */
  kAhead = FUGO_INDEX_AHEAD,           /**< all in the background, also later ones */
};

/** What differs from the configuration's section `[linking]`. */
struct LinkageOptions {
  Index index = Index::kConfigured; /**< when the tables are built */
  std::uint64_t index_mib = 0;      /**< most memory of the tables; 0: as configured */
};

}  // namespace fugo

#endif  // FUGO_VALUES_HPP_
