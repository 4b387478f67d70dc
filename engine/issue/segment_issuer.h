// One segment of an issue job: derive, find or make the people, note the issuances, commit.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "engine/issue/issuances.h"
#include "engine/issue/people_finder.h"
#include "engine/site.h"

namespace fugo::engine {

// IssueRows are the accepted rows of a segment, as parallel columns of equal length.
struct IssueRows {
  std::span<const std::uint64_t> codes;  // resident codes; secret
  std::span<const keystore::AgencyNumber> agencies;
};

// IssueOutcome is what came of each row; the spans last until the issuer's next call.
struct IssueOutcome {
  std::span<const Block> symbols;  // agency symbols; meaningless where a row is superseded
  std::span<const RowResult> results;
  std::uint32_t people_new = 0;
  std::uint32_t issuances_new = 0;
};

// SegmentIssuer owns the working memory of one segment and uses it again for the next. Not
// thread-safe; it spreads its work over the machine's cores by itself.
class SegmentIssuer {
 public:
  // bytes_locked tells how much secret memory create(max_rows) will lock, at least.
  [[nodiscard]] static std::size_t bytes_locked(std::size_t max_rows);
  [[nodiscard]] static Result<std::unique_ptr<SegmentIssuer>> create(Site& site,
                                                                     std::size_t max_rows);

  // ask gives a function that is asked between steps; its error ends the call, nothing committed.
  void ask(std::function<Status()> keep_going) { keep_going_ = std::move(keep_going); }

  // issue makes the symbols and commits people, issuances, digest, statistics, journal and the
  // job's progress in one transaction. `job` is the row before; its rows_done, segments and counts
  // are moved on in place when the commit succeeded. `segment` says which rows of the file these
  // are (first_row, rows); number, job and time are set here. `actor` is who runs the job now, for
  // the journal: not always who started it. kWrite only.
  [[nodiscard]] Result<IssueOutcome> issue(const IssueRows& rows, keystore::SegmentRow segment,
                                           const keystore::Actor& actor, keystore::JobRow& job);

  // answer makes the outcome of a committed segment again, by reading only, with the symbols of the
  // generation that its job was of (0: the active one). kRefused when that is not accepted any
  // more, or a row's person or issuance is not in the ledger.
  [[nodiscard]] Result<IssueOutcome> answer(const IssueRows& rows,
                                            const keystore::SegmentRow& segment,
                                            keystore::Generation generation = 0);

 private:
  explicit SegmentIssuer(Site& site) : site_(site) {}

  struct Masks {
    Block plain;
    Block timed;
  };

  void give_ids(keystore::PersonId first_new, std::size_t rows);
  void collect_people(keystore::SegmentNumber segment);
  void collect_issued(const IssueRows& rows, keystore::SegmentNumber segment);
  [[nodiscard]] Status make_symbols(const IssueRows& rows, keystore::Generation generation);
  [[nodiscard]] Status take_linkage_of(const keystore::Snapshot& snapshot,
                                       keystore::Generation linkage_generation, std::size_t rows);
  [[nodiscard]] Status add_digests(const IssueRows& rows, std::int64_t time,
                                   keystore::SegmentData& data);
  [[nodiscard]] Result<Masks> masks_of(keystore::AgencyNumber agency, std::int64_t time);
  void count(const IssueRows& rows, const keystore::Actor& actor,
             keystore::SegmentData& data) const;

  [[nodiscard]] Status going() const { return keep_going_ ? keep_going_() : Status{}; }

  Site& site_;
  std::function<Status()> keep_going_;
  PeopleColumns people_;
  Issuances issuances_;
  SecretArray<Block> symbols_;                      // agency symbols
  SecretArray<Block> work_;                         // linkage symbols, then digest bases
  SecretArray<keystore::PersonRecord> new_people_;  // by id
  std::vector<std::uint32_t> new_people_rows_;      // by id
  std::vector<keystore::IndexEntry> new_index_;
  std::vector<keystore::IssuedEntry> new_issued_;
  std::vector<Block> plain_masks_, timed_masks_;
  std::map<std::pair<keystore::AgencyNumber, std::int64_t>, Masks> masks_;
};

}  // namespace fugo::engine
