// One segment of a merger of agencies (市町村合併): agency `into` takes over those of `from`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"
#include "engine/site.h"
#include "keystore/types.h"

namespace fugo::engine {

// MergedSymbols translates one symbol of the agency that is closed.
struct MergedSymbols {
  Block before;  // under which that agency knew a person
  Block after;   // under which the agency that takes over knows them
};

// AgencyMerger works through the issuances of `from`, which are the job's rows: row r is the one
// with the r-th lowest person id. A row of a person who is superseded leads to the living person at
// the end of the successors: there is an issuance of living people only, and every symbol that
// `from` may still have in its files is translated. A merger of 2^18 rows locks about 24 MB. Not
// thread-safe; spreads its work over the machine's cores.
class AgencyMerger {
 public:
  // `job` is the merger's row, of which time, generation and first segment count.
  [[nodiscard]] static Result<std::unique_ptr<AgencyMerger>> create(Site& site,
                                                                    const keystore::Agency& from,
                                                                    const keystore::Agency& into,
                                                                    const keystore::JobRow& job);
  virtual ~AgencyMerger() = default;

  // ask gives a function that is asked between steps, from any thread; its error ends the call,
  // with nothing committed.
  void ask(std::function<Status()> keep_going) { keep_going_ = std::move(keep_going); }

  // merge commits the issuances that `into` lacks for rows [segment.first_row, + segment.rows),
  // with digest, statistics, journal and the job's progress in one transaction. In `job` are moved
  // on: rows_done, segments, count_new (issuances made), count_existing (rows whose person was
  // superseded). The pairs, one a row, last until the next call. kWrite only.
  [[nodiscard]] virtual Result<std::span<const MergedSymbols>> merge(keystore::SegmentRow segment,
                                                                     const keystore::Actor& actor,
                                                                     keystore::JobRow& job) = 0;

  // answer makes the pairs of committed rows again, by reading only, whatever was changed since;
  // deletions apart: compare Snapshot::count_issued with the job's rows before.
  [[nodiscard]] virtual Result<std::span<const MergedSymbols>> answer(std::uint64_t first_row,
                                                                      std::size_t rows) = 0;

 protected:
  [[nodiscard]] Status going() const { return keep_going_ ? keep_going_() : Status{}; }
  std::function<Status()> keep_going_;
};

}  // namespace fugo::engine
