// One segment of a change job: old resident codes give way to new ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "engine/site.h"
#include "keystore/types.h"

namespace fugo::engine {

// ChangeResult is what became of one accepted row. Numbers are permanent: answers store them.
enum class ChangeResult : std::uint8_t {
  kChanged = 1,          // a new person with the new code follows the old one
  kJoined = 2,           // the old person is superseded by one who was there already
  kUnknownResident = 3,  // rejected: nobody has the old code
  kSuperseded = 4,       // rejected: the old code was changed before
  kResidentExists = 5    // rejected: the new code is someone's (and the job may not join, or that
                         // person is superseded, or is the same person)
};

// ChangeRows are the accepted rows of a segment, as parallel columns of equal length; secret.
struct ChangeRows {
  std::span<const std::uint64_t> old_codes, new_codes;
};

// SymbolPair tells an agency that `after` takes the place of `before`. In records: agency 0.
struct SymbolPair {
  keystore::AgencyNumber agency = 0;
  Block before, after;
};

// ChangeOutcome is what came of a segment; the spans last until the changer's next call.
struct ChangeOutcome {
  std::span<const ChangeResult> results;  // one a row
  std::span<const SymbolPair> agencies;   // agency symbols, sorted by (agency, before)
  std::span<const SymbolPair> records;    // record symbols, sorted by before
};

// SegmentChanger owns the working memory of one segment, in locked memory, and uses it again for
// the next. It takes about 700 bytes a row where everybody is held by a dozen agencies: 2^16 rows
// a segment are sensible. Not thread-safe; spreads its work over the machine's cores.
class SegmentChanger {
 public:
  [[nodiscard]] static Result<std::unique_ptr<SegmentChanger>> create(Site& site,
                                                                      std::size_t max_rows);
  virtual ~SegmentChanger() = default;

  // ask gives a function that is asked between steps, from any thread; its error ends the call,
  // with nothing committed.
  void ask(std::function<Status()> keep_going) { keep_going_ = std::move(keep_going); }

  // independent_rows is how many rows, from the first on, can be one segment: no code occurs in
  // two of them, old or new. So A to B and B to C in one file become two segments, and come out as
  // if done one after the other. At least 1 where there are rows.
  [[nodiscard]] static std::size_t independent_rows(const ChangeRows& rows);

  // change commits new people, superseded ones, issuances, digest, statistics, journal and the
  // job's progress in one transaction. Every agency that holds an old person, unless the job's row
  // says that it is closed, gets a pair, and an issuance of the new person unless it has one.
  // `job` is the row before; in place are moved on: rows_done, segments, people_new (rows that are
  // kChanged), count_existing (kJoined), count_new (issuances made), count_rejected (the rest).
  // `segment` says which rows of the file these are (first_row, rows); the rest is set here. The
  // rows must be independent (kInternal). job.join allows joining. kWrite only.
  // `actor` is who runs the job, for the journal.
  [[nodiscard]] virtual Result<ChangeOutcome> change(const ChangeRows& rows,
                                                     keystore::SegmentRow segment,
                                                     const keystore::Actor& actor,
                                                     keystore::JobRow& job) = 0;
  // The same with the operator and order that started the job.
  [[nodiscard]] Result<ChangeOutcome> change(const ChangeRows& rows, keystore::SegmentRow segment,
                                             keystore::JobRow& job) {
    return change(rows, segment, {job.operator_name, job.order}, job);
  }

  // answer makes the outcome of a committed segment again, by reading only, whatever was changed
  // since; kRefused when people were deleted since and it cannot be made any more. A row that was
  // rejected may come out otherwise after a deletion of the person whom it was about: compare the
  // answers' digest.
  [[nodiscard]] virtual Result<ChangeOutcome> answer(const ChangeRows& rows,
                                                     const keystore::SegmentRow& segment) = 0;

  // answer_without_rows makes what agencies and the site need to know of a committed segment from
  // the ledger alone. Its results are those of the rows that were carried out, in no order; of the
  // others nothing is known.
  [[nodiscard]] virtual Result<ChangeOutcome> answer_without_rows(
      const keystore::SegmentRow& segment) = 0;

 protected:
  [[nodiscard]] Status going() const { return keep_going_ ? keep_going_() : Status{}; }
  std::function<Status()> keep_going_;
};

}  // namespace fugo::engine
