/**
 * @file fugo.hpp
 * The C++20 interface of libfugo: header only, over the C functions of fugo.h.
 *
 * Its conventions are those of fugo.h: statuses, threads, fork. Nothing here throws but
 * `std::bad_alloc` of the containers of calls for many items; calls for one item throw nothing.
 *
 * @code
 * auto opened = fugo::Linkage::open("/etc/fugo/fugo.toml");
 * if (!opened) return report(opened.error().message);
 * fugo::Linkage& linkage = *opened;
 * const auto from = linkage.find_agency("131016"), to = linkage.find_agency("472018");
 * const fugo::Linked answer = linkage.link({from, to, symbol});
 * if (answer.status == fugo::LinkStatus::kOk) use(answer.symbol.text(), answer.record.text());
 * @endcode
 */
#ifndef FUGO_FUGO_HPP_
#define FUGO_FUGO_HPP_

#include <fugo/fugo.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fugo/values.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fugo {

class Opened;

/** An open ledger in the linking role. Movable; threads share one by reference. */
class Linkage {
 public:
  /**
   * Opens the ledger that a configuration names: fugo_open().
   * @param config_path path of `fugo.toml`; without it `$FUGO_CONFIG`, else `./fugo.toml`
   * @param options what differs from the configuration
   */
  [[nodiscard]] static Opened open(const std::optional<std::string>& config_path = std::nullopt,
                                   const LinkageOptions& options = {});

  /** Closes: fugo_close(). */
  ~Linkage() { ::fugo_close(handle_); }
  /** The other is closed then: its calls answer kBadCall. */
  Linkage(Linkage&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  /** Closes this one, and takes the other. */
  Linkage& operator=(Linkage&& other) noexcept {
    Linkage(std::move(other)).swap(*this);
    return *this;
  }
  Linkage(const Linkage&) = delete;
  Linkage& operator=(const Linkage&) = delete;

  /**
   * The agency with this code: fugo_find_agency(); none where the status is not kOk.
   * @param code such as "131016"
   * @param status kUnknownAgency for no open agency, kUnavailable when that could not be told; may
   *   be left out
   */
  [[nodiscard]] Agency find_agency(const std::string& code, LinkStatus* status = nullptr) noexcept {
    fugo_agency number = 0;
    const LinkStatus found = of(::fugo_find_agency(handle_, code.c_str(), &number));
    if (status != nullptr) *status = found;
    return Agency(number);
  }

  /** Tells whose symbol it is: fugo_resolve(). */
  [[nodiscard]] Resolved resolve(const SymbolOf& symbol) noexcept {
    Resolved answer;
    const Text text(symbol.text);
    const char* const at = text.get();
    const fugo_agency agency = symbol.agency.number();
    answer.status = of(::fugo_resolve_versions(handle_, 1, &agency, &at, &answer.person.raw_,
                                               &answer.version, nullptr));
    return answer;
  }
  /** The same for many, in one call; answers in the order of the symbols. */
  [[nodiscard]] std::vector<Resolved> resolve(std::span<const SymbolOf> symbols);

  /** kOk when the agency has a symbol for the person, kNotIssued when not: fugo_is_issued(). */
  [[nodiscard]] LinkStatus is_issued(const PersonAt& question) noexcept {
    const fugo_agency agency = question.agency.number();
    return of(::fugo_is_issued(handle_, 1, &question.person.raw_, &agency, nullptr));
  }
  /** The same for many, in one call. */
  [[nodiscard]] std::vector<LinkStatus> is_issued(std::span<const PersonAt> questions);

  /** The symbol that the agency was issued for the person: fugo_symbol_for(). */
  [[nodiscard]] Converted symbol_for(const PersonAt& question) noexcept {
    Converted answer;
    const fugo_agency agency = question.agency.number();
    answer.status = of(::fugo_symbol_for(handle_, 1, &question.person.raw_, &agency,
                                         &answer.symbol.raw_, nullptr));
    return answer;
  }
  /** The same for many, in one call. */
  [[nodiscard]] std::vector<Converted> symbol_for(std::span<const PersonAt> questions);

  /** The symbol that records of the person are filed under: fugo_record_symbol(). */
  [[nodiscard]] Converted record_symbol(const Person& person) noexcept {
    Converted answer;
    answer.status =
        of(::fugo_record_symbol(handle_, 1, &person.raw_, &answer.symbol.raw_, nullptr));
    return answer;
  }
  /** The same for many, in one call. */
  [[nodiscard]] std::vector<Converted> record_symbol(std::span<const Person> people);

  /** Turns an inquirer's symbol into the provider's, with the record symbol: fugo_link(). */
  [[nodiscard]] Linked link(const Inquiry& inquiry) noexcept {
    Linked answer;
    const Text text(inquiry.text);
    const char* const at = text.get();
    const fugo_agency from = inquiry.from.number(), to = inquiry.to.number();
    answer.status = of(::fugo_link_versions(handle_, 1, &from, &to, &at, &answer.symbol.raw_,
                                            &answer.record.raw_, &answer.version, nullptr));
    return answer;
  }
  /** The same for many, in one call. */
  [[nodiscard]] std::vector<Linked> link(std::span<const Inquiry> inquiries);

  /** Builds agencies' tables now, or all (none given): fugo_prepare(). Nothing: they are ready. */
  [[nodiscard]] std::optional<LinkageError> prepare(std::span<const Agency> agencies = {});

  /** How it does: fugo_health(). */
  [[nodiscard]] LinkageHealth health();

  /** Changes places with another. */
  void swap(Linkage& other) noexcept { std::swap(handle_, other.handle_); }

 private:
  friend class Opened;
  explicit Linkage(fugo_linkage* handle) noexcept : handle_(handle) {}

  static LinkStatus of(fugo_status status) noexcept { return static_cast<LinkStatus>(status); }

  // Text is a view with a zero byte behind it; null unless the view has a symbol's length.
  class Text {
   public:
    Text() = default;
    explicit Text(std::string_view view) noexcept : fits_(view.size() == sizeof(raw_.text) - 1) {
      if (fits_) std::memcpy(raw_.text, view.data(), view.size());
    }
    const char* get() const noexcept { return fits_ ? raw_.text : nullptr; }

   private:
    fugo_symbol raw_{};
    bool fits_ = false;
  };

  fugo_linkage* handle_ = nullptr;
};

/** What Linkage::open() gives: a Linkage, or why there is none. */
class Opened {
 public:
  /** Whether there is a Linkage. */
  explicit operator bool() const noexcept { return linkage_.handle_ != nullptr; }
  /** The Linkage; ask first whether there is one. */
  [[nodiscard]] Linkage& operator*() & noexcept { return linkage_; }
  /** The Linkage, to be moved out. */
  [[nodiscard]] Linkage&& operator*() && noexcept { return std::move(linkage_); }
  /** The Linkage; ask first whether there is one. */
  [[nodiscard]] Linkage* operator->() noexcept { return &linkage_; }
  /** Why there is none. */
  [[nodiscard]] const LinkageError& error() const noexcept { return error_; }

 private:
  friend class Linkage;
  Opened(fugo_linkage* handle, LinkageError error) noexcept
      : linkage_(handle), error_(std::move(error)) {}
  Linkage linkage_;
  LinkageError error_;
};

inline Opened Linkage::open(const std::optional<std::string>& config_path,
                            const LinkageOptions& options) {
  fugo_options given = FUGO_OPTIONS_INIT;
  given.index = static_cast<std::uint32_t>(options.index);
  given.index_mib = options.index_mib;
  fugo_error error = FUGO_ERROR_INIT;
  fugo_linkage* handle = nullptr;
  const char* const path = config_path ? config_path->c_str() : nullptr;
  const auto status = of(::fugo_open(path, &given, &handle, &error));
  return {handle, {status, error.message}};
}

inline std::vector<Resolved> Linkage::resolve(std::span<const SymbolOf> symbols) {
  const std::size_t n = symbols.size();
  std::vector<fugo_agency> agencies(n);
  std::vector<Text> texts(n);
  std::vector<const char*> at(n);
  std::vector<fugo_person> people(n);
  std::vector<fugo_status> statuses(n);
  for (std::size_t i = 0; i < n; ++i) {
    agencies[i] = symbols[i].agency.number();
    texts[i] = Text(symbols[i].text);
    at[i] = texts[i].get();
  }
  std::vector<std::uint32_t> versions(n);
  ::fugo_resolve_versions(handle_, n, agencies.data(), at.data(), people.data(), versions.data(),
                          statuses.data());
  std::vector<Resolved> answers(n);
  for (std::size_t i = 0; i < n; ++i) {
    answers[i].status = of(statuses[i]);
    answers[i].person.raw_ = people[i];
    answers[i].version = versions[i];
  }
  return answers;
}

inline std::vector<LinkStatus> Linkage::is_issued(std::span<const PersonAt> questions) {
  const std::size_t n = questions.size();
  std::vector<fugo_person> people(n);
  std::vector<fugo_agency> agencies(n);
  std::vector<fugo_status> statuses(n);
  for (std::size_t i = 0; i < n; ++i) {
    people[i] = questions[i].person.raw_;
    agencies[i] = questions[i].agency.number();
  }
  ::fugo_is_issued(handle_, n, people.data(), agencies.data(), statuses.data());
  std::vector<LinkStatus> answers(n);
  for (std::size_t i = 0; i < n; ++i) answers[i] = of(statuses[i]);
  return answers;
}

inline std::vector<Converted> Linkage::symbol_for(std::span<const PersonAt> questions) {
  const std::size_t n = questions.size();
  std::vector<fugo_person> people(n);
  std::vector<fugo_agency> agencies(n);
  std::vector<fugo_symbol> symbols(n);
  std::vector<fugo_status> statuses(n);
  for (std::size_t i = 0; i < n; ++i) {
    people[i] = questions[i].person.raw_;
    agencies[i] = questions[i].agency.number();
  }
  ::fugo_symbol_for(handle_, n, people.data(), agencies.data(), symbols.data(), statuses.data());
  std::vector<Converted> answers(n);
  for (std::size_t i = 0; i < n; ++i) {
    answers[i].status = of(statuses[i]);
    answers[i].symbol.raw_ = symbols[i];
  }
  return answers;
}

inline std::vector<Converted> Linkage::record_symbol(std::span<const Person> people) {
  const std::size_t n = people.size();
  std::vector<fugo_person> given(n);
  std::vector<fugo_symbol> symbols(n);
  std::vector<fugo_status> statuses(n);
  for (std::size_t i = 0; i < n; ++i) given[i] = people[i].raw_;
  ::fugo_record_symbol(handle_, n, given.data(), symbols.data(), statuses.data());
  std::vector<Converted> answers(n);
  for (std::size_t i = 0; i < n; ++i) {
    answers[i].status = of(statuses[i]);
    answers[i].symbol.raw_ = symbols[i];
  }
  return answers;
}

inline std::vector<Linked> Linkage::link(std::span<const Inquiry> inquiries) {
  const std::size_t n = inquiries.size();
  std::vector<fugo_agency> from(n), to(n);
  std::vector<Text> texts(n);
  std::vector<const char*> at(n);
  std::vector<fugo_symbol> symbols(n), records(n);
  std::vector<fugo_status> statuses(n);
  for (std::size_t i = 0; i < n; ++i) {
    from[i] = inquiries[i].from.number();
    to[i] = inquiries[i].to.number();
    texts[i] = Text(inquiries[i].text);
    at[i] = texts[i].get();
  }
  std::vector<std::uint32_t> versions(n);
  ::fugo_link_versions(handle_, n, from.data(), to.data(), at.data(), symbols.data(),
                       records.data(), versions.data(), statuses.data());
  std::vector<Linked> answers(n);
  for (std::size_t i = 0; i < n; ++i) {
    answers[i].status = of(statuses[i]);
    answers[i].symbol.raw_ = symbols[i];
    answers[i].record.raw_ = records[i];
    answers[i].version = versions[i];
  }
  return answers;
}

inline std::optional<LinkageError> Linkage::prepare(std::span<const Agency> agencies) {
  std::vector<fugo_agency> numbers;
  for (const auto& agency : agencies) numbers.push_back(agency.number());
  fugo_error error = FUGO_ERROR_INIT;
  const auto status = of(::fugo_prepare(handle_, numbers.size(), numbers.data(), &error));
  if (status == LinkStatus::kOk) return std::nullopt;
  return LinkageError{status, error.message};
}

inline LinkageHealth Linkage::health() {
  fugo_health_report report = FUGO_HEALTH_INIT;
  LinkageHealth health;
  health.status = of(::fugo_health(handle_, &report));
  health.index_entries = report.index_entries;
  health.index_bytes = report.index_bytes;
  health.index_agencies = report.index_agencies;
  health.index_evictions = report.index_evictions;
  health.combined_calls = report.combined_calls;
  health.combined_runs = report.combined_runs;
  health.last_error = report.last_error;
  return health;
}

}  // namespace fugo

#endif  // FUGO_FUGO_HPP_
