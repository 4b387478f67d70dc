// Linking in a process of its own: the core system's side of the ledger, for many threads.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "engine/link/link_status.h"
#include "engine/site.h"
#include "keystore/key_blocks.h"

namespace fugo::engine {

// PersonHandle names a person within the Linking that gave it, and nowhere else: it holds no
// symbol, and without that Linking's own random keys it tells nothing. The same person has the
// same handle as long as the Linking lives. A handle of another Linking is kUnknown.
struct PersonHandle {
  std::uint64_t opaque[2] = {0, 0};
  friend bool operator==(const PersonHandle&, const PersonHandle&) = default;
};

// IndexPolicy: when the tables are built that resolve one-way symbols.
enum class IndexPolicy : std::uint8_t {
  kLazy = 1,   // an agency's, at the first symbol of it that is asked for
  kAhead = 2,  // all agencies', in the background: when the Linking is opened, and whenever
               // agencies or generations changed
};

struct LinkingSettings {
  IndexPolicy index = IndexPolicy::kLazy;
  // Most memory of all tables together. When it is full, the agencies longest not asked for go.
  std::size_t index_bytes = std::size_t{4} << 30U;
  // Uses of one inquiring agency that are answered in a day of `time_zone`, by all Linkings of this
  // process on one ledger and what note_used() was told of others; 0: no limit. What is beyond is
  // kQuotaExceeded. A use is an item of link() or resolve(). An item is answered when its status is
  // kOk, kNotIssued, kUnknown or kSuperseded; any other gives its use back, and until then holds
  // it.
  std::uint64_t quota_per_day = 0;
  std::string time_zone = "Asia/Tokyo";  // IANA name; whatever the process's own is
  // Calls of few items from several threads are put into one call of the token.
  bool combine = true;
  // A call that waits for others gives up after this, all its waits together: what waits is then
  // kUnavailable. Who waits for a turn does not give up while turns come.
  std::chrono::milliseconds patience{5000};
};

// LinkUse counts what one inquiring agency asked since take_uses() was last called.
struct LinkUse {
  std::string agency;  // code
  std::uint64_t asked = 0;
  std::uint64_t ok = 0;
  std::uint64_t in_vain = 0;  // of those asked: not answered, and nothing of the day's quota
};

// LinkingHealth is a copy of what a Linking counts.
struct LinkingHealth {
  std::uint64_t index_entries = 0;   // issuances in the tables
  std::uint64_t index_bytes = 0;     // that the tables take
  std::uint64_t index_agencies = 0;  // tables
  std::uint64_t index_evictions = 0;
  std::uint64_t combined_calls = 0;  // of few items each, which may be put together ...
  std::uint64_t combined_runs = 0;   // ... and how often they went to token and ledger
  std::string last_error;            // of token, ledger or tables; empty: none so far
};

// Linking resolves agency symbols to people and makes other symbols of them. All spans of one call
// have one length; outputs of an item are meaningful when its status is kOk, and zero otherwise.
// An item whose status is kBadSymbol on entry is left alone (whoever reads a symbol's text sets
// it); every other status on entry is ignored. Nothing is thrown, and no item's fault touches
// another's. Thread-safe. Across calls of the token, locks are held by who reads a new commit, and
// by who builds an agency's table or brings it up to date; others wait for these for as long as
// their patience lasts. Sees each commit of a writer that ended before the call began.
// Destroying it waits for what its own threads have under way.
//
// A Linking belongs to the process that opened it. In a forked child every status is kForked and
// every Result an error, nothing of the parent's is touched, and destroying it frees nothing.
class Linking {
 public:
  // open takes a site that was opened in the linking role (kRefused otherwise) for reading. kUsage
  // for a time zone that the system does not know.
  [[nodiscard]] static Result<std::unique_ptr<Linking>> open(std::unique_ptr<Site> site,
                                                             const LinkingSettings& settings);
  virtual ~Linking() = default;

  // find_agency: the ledger's number of an agency, for the calls below; nothing when no open agency
  // has this code; an error when the ledger or the token did not tell. A number stays good for
  // ever.
  [[nodiscard]] virtual Result<std::optional<keystore::AgencyNumber>> find_agency(
      std::string_view code) = 0;

  // resolve tells whose symbol of which agency each one is: kUnknown when the agency was never
  // issued it, kSuperseded when the person's code was changed (no handle then). Symbols of every
  // version that is accepted are known; `versions`, where it is not empty, gets that of each.
  // Counted as a use of the agency, and of the quota.
  virtual void resolve(std::span<const keystore::AgencyNumber> agencies,
                       std::span<const Block> symbols, std::span<PersonHandle> people,
                       std::span<keystore::Generation> versions,
                       std::span<LinkStatus> statuses) = 0;
  void resolve(std::span<const keystore::AgencyNumber> agencies, std::span<const Block> symbols,
               std::span<PersonHandle> people, std::span<LinkStatus> statuses) {
    resolve(agencies, symbols, people, {}, statuses);
  }
  // is_issued: kOk when the agency was issued a symbol for the person, else kNotIssued.
  virtual void is_issued(std::span<const PersonHandle> people,
                         std::span<const keystore::AgencyNumber> agencies,
                         std::span<LinkStatus> statuses) = 0;
  // symbol_for gives the symbol that the agency was issued for the person; kNotIssued when none.
  virtual void symbol_for(std::span<const PersonHandle> people,
                          std::span<const keystore::AgencyNumber> agencies,
                          std::span<Block> symbols, std::span<LinkStatus> statuses) = 0;
  // record_symbol gives the symbol that the core system files records under.
  virtual void record_symbol(std::span<const PersonHandle> people, std::span<Block> symbols,
                             std::span<LinkStatus> statuses) = 0;
  // link is resolve of (from, symbols) and symbol_for `to` as one step, and record_symbol where
  // `records` is not empty. What is given is of the active version. Counted as a use of `from`, and
  // of the quota.
  virtual void link(std::span<const keystore::AgencyNumber> from,
                    std::span<const keystore::AgencyNumber> to, std::span<const Block> symbols,
                    std::span<Block> linked, std::span<Block> records,
                    std::span<keystore::Generation> versions, std::span<LinkStatus> statuses) = 0;
  void link(std::span<const keystore::AgencyNumber> from,
            std::span<const keystore::AgencyNumber> to, std::span<const Block> symbols,
            std::span<Block> linked, std::span<Block> records, std::span<LinkStatus> statuses) {
    link(from, to, symbols, linked, records, {}, statuses);
  }

  // prepare builds the tables of these agencies (empty: of all) and returns when they are ready.
  // `keep_going` is asked now and then; its error ends the work. kRefused when they do not fit;
  // kUsage, and nothing is built, when one of the numbers is no open agency's.
  [[nodiscard]] virtual Status prepare(std::span<const keystore::AgencyNumber> agencies,
                                       const std::function<Status()>& keep_going = {}) = 0;

  // take_uses gives the counts since the last time, and starts again from zero.
  [[nodiscard]] virtual std::vector<LinkUse> take_uses() = 0;
  // note_used says how much of a day's quotas was used by everybody, this process among them: asked
  // and not in vain. The quotas count no less from here on, until the day ends; of a day that has
  // ended it changes nothing. `day` is Calendar::day in the calendar given at opening.
  virtual void note_used(std::int64_t day, std::span<const LinkUse> uses) = 0;
  // evaluated is how many blocks each symbol key evaluated since the token was opened.
  [[nodiscard]] virtual keystore::BlockCounts evaluated() const = 0;
  // read_ledger calls `read` with the ledger as it is open here. kStale, now and then, of one that
  // was given new keys: the next question of any kind opens it again.
  [[nodiscard]] virtual Status read_ledger(
      const std::function<Status(const keystore::Ledger&)>& read) = 0;
  [[nodiscard]] virtual LinkingHealth health() const = 0;
};

}  // namespace fugo::engine
