// Answers to a change, a deletion or a merger: symbols that gave way, by agency, and record
// symbols.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "daemon/files/answers.h"
#include "daemon/files/keep_going.h"
#include "daemon/files/sorted_runs.h"
#include "keystore/types.h"

namespace fugo::daemon {

// PairAnswers collects pairs of symbols in any order, in bounded memory, and writes them sorted.
// For a deletion there is no symbol after, for a merger no record symbol and no reject. One thread
// at a time.
class PairAnswers {
 public:
  PairAnswers() = default;
  // What does not fit into memory goes to unlinked temporary files in the two directories.
  explicit PairAnswers(const AnswersPlace& place, std::size_t memory_in_bytes = 64U << 20U)
      : agencies_(place.directory, memory_in_bytes / 2),
        records_(place.records, memory_in_bytes / 2) {}

  [[nodiscard]] Status add_agency(keystore::AgencyNumber agency, const Block& before,
                                  const Block& after = {});
  [[nodiscard]] Status add_record(const Block& before, const Block& after = {});

  // expect gives an agency a file even if no pair of it comes.
  void expect(keystore::AgencyNumber agency);

  // write makes DIR/.<id>.tmp/ anew, with a file for each agency that has a pair, rejects.csv and
  // summary.json, and RECORDS/.<id>.csv.tmp; all of it is synced. Of a merger there is neither
  // rejects.csv nor a file of records. `counts` goes into the summary. An agency that is not in
  // `registry` is kInternal.
  [[nodiscard]] Result<WrittenAnswers> write(const AnswersPlace& place, const AnswerHead& head,
                                             const nlohmann::ordered_json& counts,
                                             std::span<const keystore::Agency> registry,
                                             RejectList& rejects, const KeepGoing& going);

 private:
  struct Pair {
    keystore::AgencyNumber agency = 0;  // 0 in records
    Block before, after;
    friend auto operator<=>(const Pair&, const Pair&) = default;
  };
  class Writer;

  SortedRuns<Pair> agencies_, records_;
  std::vector<std::uint64_t> by_agency_;  // pairs by agency number
  std::uint64_t record_count_ = 0;
  keystore::AgencyNumber expected_ = 0;
};

}  // namespace fugo::daemon
