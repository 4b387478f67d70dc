// Answer files: collected a segment at a time, then written for each agency and published at once.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"
#include "daemon/files/answer_folder.h"
#include "daemon/files/keep_going.h"
#include "daemon/files/rejects.h"
#include "daemon/files/sorted_runs.h"
#include "keystore/types.h"

namespace fugo::daemon {

// RowResult is what became of an accepted row.
enum class RowResult : std::uint8_t {
  kNew = 1,       // this agency had no symbol for this person before
  kExisting = 2,  // it had: the same symbol again
  kLeftOut = 3,   // the ledger rejected it: not answered here
};

// AnswerParts keeps the answers of each segment in an unlinked temporary file, sorted by agency
// and processing number, until all segments are there. Memory: one segment. One thread at a time.
class AnswerParts {
 public:
  AnswerParts() = default;
  // create makes the temporary file in `directory` (the output directory).
  [[nodiscard]] static Result<AnswerParts> create(const std::filesystem::path& directory);

  // add takes one segment's answers; all spans have the same size. Processing numbers have 1 to 32
  // characters of 0-9A-Z; the same one must not come twice for an agency. `version` is the
  // generation that made the symbols.
  [[nodiscard]] Status add(std::span<const keystore::AgencyNumber> agencies,
                           std::span<const std::string_view> processing_numbers,
                           std::span<const Block> symbols, std::span<const RowResult> results,
                           keystore::Generation version);

  // Counts over everything that was added, by agency number.
  struct Count {
    std::uint64_t count_new = 0, count_existing = 0;
  };
  [[nodiscard]] const std::vector<Count>& counts() const { return counts_; }

  // Part is one segment's records: from `offset` in the file, sorted, each `width` bytes of
  // processing number (padded with zero bytes), 16 of symbol and 1 of result.
  struct Part {
    std::uint64_t offset = 0;
    std::size_t width = 0;
    keystore::Generation version = 1;
    std::vector<std::uint64_t> first;  // record where agency a begins, by number; one more at last
    [[nodiscard]] std::size_t record_bytes() const { return width + sizeof(Block) + 1; }
  };
  [[nodiscard]] const std::vector<Part>& parts() const { return parts_; }
  // map shows the records of all parts.
  [[nodiscard]] Result<ByteView> map() { return file_.map(); }

 private:
  SpillFile file_;
  std::vector<Part> parts_;
  std::vector<Count> counts_;
};

// AnswerHead is what the head lines and the summary say about the job. No clock is read: the same
// job gives the same bytes whenever it is answered.
struct AnswerHead {
  std::string id;
  keystore::JobKind kind = keystore::JobKind::kIssue;
  std::string environment;  // the ledger's
  std::int64_t time = 0;    // the job's pinned time of issue, seconds since 1970
  std::uint64_t rows = 0;   // of the request
  keystore::Generation symbol_version = 1;
  std::string merged_agency;  // of a merger: the code of the agency that is closed
  // Rejected rows by agency number ([0]: agency not known), the ledger's included; empty leaves
  // them out of the summary's counts by agency.
  std::vector<std::uint64_t> rejected_by_agency;
  const SecretBytes<32>* seal_key = nullptr;  // of mac_of_sealed; null: there is none
};

// WrittenAnswers is what write_answers made.
struct WrittenAnswers {
  // SHA-256 over the lines "<name> <SHA-256 in hex>\n" of all CSV files, sorted by name.
  std::array<std::uint8_t, 32> digest{};
  std::uint64_t agencies = 0;  // answer files
  std::uint64_t count_new = 0, count_existing = 0, count_rejected = 0;
};

// write_answers makes DIR/.<id>.tmp/ anew, with a file for each agency that has an answer, then
// rejects.csv and summary.json, and syncs all of it and DIR. `agencies` is the registry; an
// agency of `parts` that is not in it is kInternal, and so are counts that do not add up to
// head.rows, and a processing number that comes twice for an agency. What a failure leaves is
// removed by the next call. `going` is asked for each file. Two threads; memory does not depend on
// the number of rows.
[[nodiscard]] Result<WrittenAnswers> write_answers(const std::filesystem::path& directory,
                                                   const AnswerHead& head, AnswerParts& parts,
                                                   std::span<const keystore::Agency> agencies,
                                                   RejectList& rejects,
                                                   const KeepGoing& going = KeepGoing(),
                                                   std::size_t threads = 2);

}  // namespace fugo::daemon
