/**
 * @file fugo.h
 * The C interface of libfugo: linking in a process of one's own, while the daemon writes.
 *
 * An *agency symbol* names a person to one agency. A core system that is asked by agency A about
 * agency B turns A's symbol into B's with fugo_link(), in one call for one symbol or for millions.
 * It needs the linking token of the site and its PIN, and reads the ledger; it never sees a linkage
 * symbol, a resident code or a key.
 *
 * Conventions, stated once:
 *
 * - **Status.** Every call gives a ::fugo_status, and never throws, exits or prints. A call for
 *   `n` items gives each item a status of its own; no item's fault touches another's. It returns
 *   ::FUGO_OK when all items are, else the status of the first that is not. What concerns the call
 *   as a whole (::FUGO_BAD_CALL, ::FUGO_FORKED, uses that cannot be counted) is returned and is the
 *   status of every item.
 *   `statuses` may be NULL when `n` is 0 or 1: the returned value tells the same.
 * - **Arrays** have `n` items each, belong to the caller, and must not overlap. With `n` 0 they may
 *   be NULL, and the call gives ::FUGO_OK. Agencies may differ from item to item.
 * - **Outputs** of an item are meaningful when its status is ::FUGO_OK, and zero otherwise.
 * - **Threads.** Any number of threads may use one handle at a time. fugo_close() must be the last
 *   use of a handle, when all other calls on it have returned.
 * - **Waiting.** A call waits for others (a table that another call builds, a commit that another
 *   one reads, the run that it is combined into) for at most the configuration's
 *   `linking.patience_ms`, all its waits together; then what is left of it is ::FUGO_UNAVAILABLE.
 *   Large calls wait for their turn as long as one of those before them ends within that time. What
 *   a call does itself is not limited so: calls of the token, which hang when the token does, and
 *   the building of a table. A call for very many items is answered in pieces, each of which may
 *   wait so long until the first has waited in vain.
 * - **Uses** are counted, and the counts left for the daemon about once a minute. When that has
 *   failed, or not come to an end, for three minutes, every call for items is ::FUGO_UNAVAILABLE,
 *   and fugo_health() tells why and what to do. Counts are kept and tried again every minute; with
 *   the first that can be left linking goes on by itself.
 * - **Fork.** A handle belongs to the process that opened it. In a forked child every call on it
 *   gives ::FUGO_FORKED, and fugo_close() does nothing. Fork before you open, or let the child
 *   execute a program that opens for itself.
 * - **Text** is ASCII or UTF-8 and ends with a zero byte.
 *
 * The promise of the binary interface (ABI), as long as the library is `libfugo.so.0`:
 *
 * - Functions are neither removed nor changed. Numbers of constants stay what they are. New
 *   functions and new statuses may come: treat a status that you do not know as a failure.
 * - ::fugo_status is 32 bits and signed, ::fugo_agency 32 bits and unsigned, ::fugo_person 16 bytes
 *   with the alignment of `uint64_t`, ::fugo_symbol 28 bytes without alignment.
 * - Structures whose first member is `size` may grow at their end. The caller puts its own
 *   `sizeof` there; the library reads and writes no byte beyond it, and takes what an older caller
 *   does not have as zero. A size smaller than that of the first version is ::FUGO_BAD_CALL.
 * - Other structures never change.
 */
#ifndef FUGO_FUGO_H_
#define FUGO_FUGO_H_

#include <stddef.h>
#include <stdint.h>

/** @cond */
#if defined(__GNUC__)
#define FUGO_API __attribute__((visibility("default")))
#else
#define FUGO_API
#endif

#ifdef __cplusplus
#define FUGO_NOEXCEPT noexcept
extern "C" {
#else
#define FUGO_NOEXCEPT
#endif
/** @endcond */

/** Version of this header; fugo_version() is that of the library. */
#define FUGO_HEADER_VERSION "0.1.0"

/** What became of one item, or of a call as a whole: one of the constants below. */
typedef int32_t fugo_status;

/** Values of ::fugo_status. Their numbers never change; zero is none of them. */
enum fugo_status_value {
  FUGO_OK = 1,               /**< done */
  FUGO_NOT_ISSUED = 2,       /**< this agency has no symbol for this person */
  FUGO_UNKNOWN = 3,          /**< no such person, or the agency was never issued the symbol */
  FUGO_SUPERSEDED = 4,       /**< the person's resident code was changed: ask for the new symbol */
  FUGO_BAD_SYMBOL = 5,       /**< not the form of a symbol, or its check character is wrong */
  FUGO_UNKNOWN_AGENCY = 6,   /**< no open agency has this code or number */
  FUGO_FROZEN = 7,           /**< linking was stopped by an operator */
  FUGO_QUOTA_EXCEEDED = 8,   /**< the inquiring agency's limit of the day is reached */
  FUGO_UNAVAILABLE = 9,      /**< token or ledger did not answer, no memory, or uses cannot be
                                  counted: ask again later */
  FUGO_INDEX_TOO_LARGE = 10, /**< the agency's table does not fit the memory set for it */
  FUGO_FORKED = 11,          /**< the handle belongs to another process */

  FUGO_BAD_CALL = 100,          /**< NULL or a wrong size where it must not be */
  FUGO_BAD_CONFIGURATION = 101, /**< configuration missing, or with mistakes */
  FUGO_REFUSED = 102,           /**< cannot be done as asked; the message says why */
  FUGO_DAMAGED = 103,           /**< the ledger does not hold together: run `fugo verify` */
  FUGO_IO = 104,                /**< a file could not be read */
  FUGO_INTERNAL = 105           /**< a mistake in the library itself */
};

/** An open ledger in the linking role. */
typedef struct fugo_linkage fugo_linkage;

/** The ledger's number of an agency: good for ever, in every process. 0 is no agency. */
typedef uint32_t fugo_agency;

/**
 * A person, within the handle that gave it and nowhere else: it holds no symbol, and without the
 * handle's own random keys it tells nothing. The same person has the same 16 bytes as long as the
 * handle is open. Do not store it: to any other handle it is ::FUGO_UNKNOWN.
 */
typedef struct fugo_person {
  uint64_t opaque[2]; /**< compare whole, with memcmp() */
} fugo_person;

/** The text of a symbol: 27 characters of `0-9A-Z` and a zero byte. */
typedef struct fugo_symbol {
  char text[28]; /**< empty where there is none */
} fugo_symbol;

/** Why a call as a whole failed. Set `size`, or use ::FUGO_ERROR_INIT. */
typedef struct fugo_error {
  uint32_t size;      /**< `sizeof(fugo_error)` of the caller */
  fugo_status status; /**< as the call returned it */
  char message[2040]; /**< what is wrong, where, and what to do; UTF-8, cut when it is longer */
} fugo_error;

/** Values of fugo_options::index. */
enum fugo_index_value {
  FUGO_INDEX_CONFIGURED = 0, /**< as the configuration says */
  FUGO_INDEX_LAZY = 1,       /**< an agency's table at the first symbol of it */
  FUGO_INDEX_AHEAD = 2       /**< all tables in the background, from fugo_open() on, and those of
                                  agencies and symbol versions that come later */
};

/** What differs from the configuration's section `[linking]`. Set `size` and zero the rest. */
typedef struct fugo_options {
  uint32_t size;      /**< `sizeof(fugo_options)` of the caller */
  uint32_t index;     /**< one of ::fugo_index_value */
  uint64_t index_mib; /**< most memory of the tables in MiB; 0: as the configuration says */
} fugo_options;

/** What a handle counts. Set `size`, or use ::FUGO_HEALTH_INIT. */
typedef struct fugo_health_report {
  uint32_t size;            /**< `sizeof(fugo_health_report)` of the caller */
  uint32_t reserved;        /**< zero */
  uint64_t index_entries;   /**< issuances in the tables */
  uint64_t index_bytes;     /**< memory that the tables take */
  uint64_t index_agencies;  /**< tables */
  uint64_t index_evictions; /**< tables that went because memory was full */
  uint64_t combined_calls;  /**< calls of few items, which may be put together ... */
  uint64_t combined_runs; /**< ... and how often they went to token and ledger, alone or together */
  char last_error[1024];  /**< why the counts of uses cannot be left, if so; then the last of token,
                               ledger or tables, which stays when it is over; empty: none so far */
} fugo_health_report;

/** `fugo_error error = FUGO_ERROR_INIT;` */
#define FUGO_ERROR_INIT \
  { sizeof(fugo_error), 0, "" }
/** `fugo_options options = FUGO_OPTIONS_INIT;`: all as the configuration says. */
#define FUGO_OPTIONS_INIT \
  { sizeof(fugo_options), FUGO_INDEX_CONFIGURED, 0 }
/** `fugo_health_report report = FUGO_HEALTH_INIT;` */
#define FUGO_HEALTH_INIT \
  { sizeof(fugo_health_report), 0, 0, 0, 0, 0, 0, 0, "" }

/**
 * Opens the ledger that a configuration names, in the linking role: the configuration needs
 * `[hsm.linking]` and no other token. The process needs to read the ledger's directory and to write
 * its `lock.mdb`, and to make files in the folder `linking.usage`, where it leaves counts of uses
 * for the daemon. Where the configuration names a `softhsm2.conf` (trial tokens), the variable
 * `SOFTHSM2_CONF` of the process is set: open before other threads start.
 *
 * @param config_path path of `fugo.toml`; NULL: `$FUGO_CONFIG`, else `./fugo.toml`
 * @param options what differs from the configuration; may be NULL
 * @param[out] handle the open ledger, for fugo_close(); NULL unless ::FUGO_OK is returned
 * @param[out] error why it failed; may be NULL
 * @return ::FUGO_OK; ::FUGO_BAD_CONFIGURATION naming every mistake; ::FUGO_REFUSED, for SoftHSM in
 *   production above all; ::FUGO_UNAVAILABLE when the token does not answer; ::FUGO_IO;
 *   ::FUGO_DAMAGED; ::FUGO_INTERNAL; ::FUGO_BAD_CALL
 */
FUGO_API fugo_status fugo_open(const char *config_path, const fugo_options *options,
                               fugo_linkage **handle, fugo_error *error) FUGO_NOEXCEPT;

/**
 * Gives everything back: threads are ended, tables wiped, sessions closed. It waits for what the
 * library's own threads have under way, a call of the token above all: while the token hangs, so
 * may fugo_close(). A process that cannot wait for that ends without it. With the last handle of a
 * process, the PKCS#11 module is finalized, unless other code of the process uses it too. Call it
 * before main() is left. NULL is allowed. Does nothing in a forked child.
 */
FUGO_API void fugo_close(fugo_linkage *handle) FUGO_NOEXCEPT;

/**
 * Finds an agency by its code, as the ledger knows it now.
 *
 * @param handle an open ledger
 * @param code such as "131016"
 * @param[out] agency its number, or 0
 * @return ::FUGO_OK; ::FUGO_UNKNOWN_AGENCY when no open agency has this code; ::FUGO_UNAVAILABLE
 *   when the ledger or the token did not tell; ::FUGO_FORKED; ::FUGO_BAD_CALL
 */
FUGO_API fugo_status fugo_find_agency(fugo_linkage *handle, const char *code,
                                      fugo_agency *agency) FUGO_NOEXCEPT;

/**
 * Tells whose symbols these are. Counted as a use of the agency and of its quota, as fugo_link()
 * is; what is asked about the person afterwards is not.
 *
 * @param handle an open ledger
 * @param n number of items
 * @param agencies whose symbol each one is
 * @param symbols texts; one that is NULL, too short, too long or mistyped is ::FUGO_BAD_SYMBOL
 * @param[out] people the person of each symbol
 * @param[out] statuses of each item: ::FUGO_OK, ::FUGO_UNKNOWN, ::FUGO_SUPERSEDED,
 *   ::FUGO_BAD_SYMBOL, ::FUGO_UNKNOWN_AGENCY, ::FUGO_FROZEN, ::FUGO_QUOTA_EXCEEDED,
 *   ::FUGO_UNAVAILABLE, ::FUGO_INDEX_TOO_LARGE
 * @return see the conventions
 */
FUGO_API fugo_status fugo_resolve(fugo_linkage *handle, size_t n, const fugo_agency *agencies,
                                  const char *const *symbols, fugo_person *people,
                                  fugo_status *statuses) FUGO_NOEXCEPT;

/**
 * fugo_resolve(), which also tells of which version each symbol is: after the site's keys were
 * renewed, agencies' old symbols are resolved until that is finished. Who keeps statistics of old
 * symbols sees by it which agencies still use them.
 *
 * @param handle an open ledger
 * @param n number of items
 * @param agencies whose symbol each one is
 * @param symbols texts, as for fugo_resolve()
 * @param[out] people the person of each symbol, the same for an old symbol as for the new one
 * @param[out] versions the symbol version of each symbol; of one that is the same in several, the
 *   newest; NULL: not wanted
 * @param[out] statuses as of fugo_resolve(); a symbol of a version that is not accepted any more is
 *   ::FUGO_UNKNOWN
 * @return see the conventions
 */
FUGO_API fugo_status fugo_resolve_versions(fugo_linkage *handle, size_t n,
                                           const fugo_agency *agencies, const char *const *symbols,
                                           fugo_person *people, uint32_t *versions,
                                           fugo_status *statuses) FUGO_NOEXCEPT;

/**
 * Tells whether agencies have symbols for people.
 *
 * @param handle an open ledger
 * @param n number of items
 * @param people as fugo_resolve() of this handle gave them
 * @param agencies who is asked about
 * @param[out] statuses of each item: ::FUGO_OK when the agency has one, ::FUGO_NOT_ISSUED when not,
 *   ::FUGO_UNKNOWN for no person of this handle, ::FUGO_SUPERSEDED, ::FUGO_UNKNOWN_AGENCY,
 *   ::FUGO_FROZEN, ::FUGO_UNAVAILABLE
 * @return see the conventions
 */
FUGO_API fugo_status fugo_is_issued(fugo_linkage *handle, size_t n, const fugo_person *people,
                                    const fugo_agency *agencies,
                                    fugo_status *statuses) FUGO_NOEXCEPT;

/**
 * Gives the symbols that agencies were issued for people.
 *
 * @param handle an open ledger
 * @param n number of items
 * @param people as fugo_resolve() of this handle gave them
 * @param agencies whose symbols are wanted
 * @param[out] symbols their texts
 * @param[out] statuses as of fugo_is_issued()
 * @return see the conventions
 */
FUGO_API fugo_status fugo_symbol_for(fugo_linkage *handle, size_t n, const fugo_person *people,
                                     const fugo_agency *agencies, fugo_symbol *symbols,
                                     fugo_status *statuses) FUGO_NOEXCEPT;

/**
 * Gives the symbols that the core system files records of people under.
 *
 * @param handle an open ledger
 * @param n number of items
 * @param people as fugo_resolve() of this handle gave them
 * @param[out] symbols record symbols; they never leave the core system
 * @param[out] statuses of each item: ::FUGO_OK, ::FUGO_UNKNOWN, ::FUGO_SUPERSEDED, ::FUGO_FROZEN,
 *   ::FUGO_UNAVAILABLE
 * @return see the conventions
 */
FUGO_API fugo_status fugo_record_symbol(fugo_linkage *handle, size_t n, const fugo_person *people,
                                        fugo_symbol *symbols, fugo_status *statuses) FUGO_NOEXCEPT;

/**
 * Turns symbols of inquirers into those of providers: fugo_resolve() and fugo_symbol_for() in one
 * step, and fugo_record_symbol() where it is asked for. Counted as a use of the inquirer; an item
 * that is ::FUGO_OK, ::FUGO_NOT_ISSUED, ::FUGO_UNKNOWN or ::FUGO_SUPERSEDED is one of its quota
 * too, whose day is that of the configuration's `time_zone`. All handles of a process that open one
 * ledger have one quota. What other processes used of it is known when the ledger is opened, and
 * about once a minute from then on.
 *
 * @param handle an open ledger
 * @param n number of items
 * @param from whose symbol each one is: the inquirers
 * @param to whose symbols are wanted: the providers
 * @param symbols texts, as for fugo_resolve()
 * @param[out] linked the providers' symbols
 * @param[out] records record symbols; NULL: not wanted
 * @param[out] statuses as of fugo_resolve(), and ::FUGO_NOT_ISSUED when the provider has no symbol
 *   for the person
 * @return see the conventions
 */
FUGO_API fugo_status fugo_link(fugo_linkage *handle, size_t n, const fugo_agency *from,
                               const fugo_agency *to, const char *const *symbols,
                               fugo_symbol *linked, fugo_symbol *records,
                               fugo_status *statuses) FUGO_NOEXCEPT;

/**
 * fugo_link(), which also tells of which version each inquirer's symbol is. What it gives are
 * always symbols of the active version.
 *
 * @param handle an open ledger
 * @param n number of items
 * @param from whose symbol each one is: the inquirers
 * @param to whose symbols are wanted: the providers
 * @param symbols texts, as for fugo_resolve()
 * @param[out] linked the providers' symbols
 * @param[out] records record symbols; NULL: not wanted
 * @param[out] versions as of fugo_resolve_versions(); NULL: not wanted
 * @param[out] statuses as of fugo_link()
 * @return see the conventions
 */
FUGO_API fugo_status fugo_link_versions(fugo_linkage *handle, size_t n, const fugo_agency *from,
                                        const fugo_agency *to, const char *const *symbols,
                                        fugo_symbol *linked, fugo_symbol *records,
                                        uint32_t *versions, fugo_status *statuses) FUGO_NOEXCEPT;

/**
 * Builds the tables that resolve agencies' symbols now, and returns when they are ready, so that
 * the first inquiry need not wait. Never needed for correctness. Tables of agencies that are named
 * here take the place of those longest not asked for where memory is full; 0 agencies take no
 * table's place. When one of the numbers is no open agency's, nothing is built.
 *
 * @param handle an open ledger
 * @param n number of agencies; 0: all of the ledger
 * @param agencies their numbers; may be NULL when `n` is 0
 * @param[out] error why it failed; may be NULL
 * @return ::FUGO_OK, ::FUGO_REFUSED when they do not fit the memory, ::FUGO_UNAVAILABLE, ::FUGO_IO,
 *   ::FUGO_DAMAGED, ::FUGO_INTERNAL, ::FUGO_UNKNOWN_AGENCY, ::FUGO_FORKED, ::FUGO_BAD_CALL
 */
FUGO_API fugo_status fugo_prepare(fugo_linkage *handle, size_t n, const fugo_agency *agencies,
                                  fugo_error *error) FUGO_NOEXCEPT;

/**
 * Tells how a handle does. Cheap; makes no call of the token.
 *
 * @param handle an open ledger
 * @param[out] report all but `size` is written
 * @return ::FUGO_OK, ::FUGO_FORKED, ::FUGO_BAD_CALL
 */
FUGO_API fugo_status fugo_health(fugo_linkage *handle, fugo_health_report *report) FUGO_NOEXCEPT;

/**
 * The name of a status: "ok", "not_issued", "unknown", "superseded", "bad_symbol",
 * "unknown_agency", "frozen", "quota_exceeded", "unavailable", "index_too_large", "forked",
 * "bad_call", "bad_configuration", "refused", "damaged", "io", "internal"; "" for any other number.
 */
FUGO_API const char *fugo_status_name(fugo_status status) FUGO_NOEXCEPT;

/** The version of the library: "0.1.0". */
FUGO_API const char *fugo_version(void) FUGO_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif /* FUGO_FUGO_H_ */
