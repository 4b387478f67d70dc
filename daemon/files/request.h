// Request files: the one look before anything is applied, and reading rows for segments.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "daemon/exchange/rules.h"
#include "daemon/files/agency_table.h"
#include "daemon/files/keep_going.h"
#include "daemon/files/rejects.h"
#include "keystore/types.h"

namespace fugo::hsm {
class Token;
}
namespace fugo::keystore {
class Ledger;
}

namespace fugo::daemon {

// RequestOpening is what opening a request needs beside its file.
struct RequestOpening {
  ExchangeRules rules = {};     // who may send what
  hsm::Token* token = nullptr;  // that encrypted requests are opened with; null: none is taken
  const keystore::Ledger* ledger = nullptr;  // whose journal tells of exchange keys; null: of none
};

// RequestSender is who signed a request: the name of a certificate in the folder of senders, and
// its SHA-256 in hexadecimal. Both are empty of a request in the clear.
struct RequestSender {
  std::string name, certificate;
};

// RequestHead is a request's first line.
struct RequestHead {
  std::string id;
  keystore::JobKind kind = keystore::JobKind::kIssue;
  std::string environment;  // empty when it was left out
  std::uint64_t records = 0;
  bool join = false;  // kind change: two people may become one
};

// RowRules is what rows are tried against. It must be the same for the survey and the reader.
struct RowRules {
  const AgencyTable* agencies = nullptr;  // must outlive the request
  bool check_digits = true;
  std::vector<std::string> reasons = {};               // kind delete: the codes that a row may give
  keystore::JobKind kind = keystore::JobKind::kIssue;  // set by the request itself
};

struct SurveyOptions {
  RowRules rules;
  std::string environment;                     // the ledger's; a request naming another is refused
  const SecretBytes<32>* hmac_key = nullptr;   // of Survey::hmac; nullptr: there is none
  const SecretBytes<32>* spill_key = nullptr;  // LedgerKeys::spill(), for duplicates
  std::uint64_t row_quota = keystore::kNoQuota;  // see Survey
  std::filesystem::path temporary_directory;     // for spilled lists; needs room for large files
  std::size_t memory_in_bytes = 128U << 20U;     // bound for duplicates and rejects, about
  std::size_t threads = 2;                       // for rows; one more makes the HMAC
  std::size_t piece_in_bytes = 2U << 20U;        // what a thread looks at in one go; at most 1 GiB
  std::function<void(std::uint64_t bytes_done, std::uint64_t bytes)> progress;  // from any thread
  const KeepGoing* keep_going = nullptr;  // asked for each piece; may be null

  [[nodiscard]] Status going() const { return keep_going != nullptr ? (*keep_going)() : Status{}; }
};

// RowMark is a place in the request from which reading can start.
struct RowMark {
  std::uint64_t row = 0;
  std::uint64_t offset = 0;  // in bytes
};

// Survey is the outcome of the one look over a whole request.
struct Survey {
  RequestHead head;
  std::array<std::uint8_t, 32> hmac{};  // HMAC-SHA-256 of every byte of the file
  std::uint64_t rows = 0;               // equal to head.records
  RejectList rejects;                   // duplicates included; the ledger's can be added
  // Rejected rows by agency number; [0] counts those whose agency was not known.
  std::vector<std::uint64_t> rejected_by_agency;

  // Rows from here on (from 0) are rejected for the quota, where nothing else is wrong with them.
  std::uint64_t row_quota = keystore::kNoQuota;

  // For the reader: a bit for each row that repeats a processing number (empty: no such row), and
  // places to start from, in ascending order.
  std::vector<std::uint64_t> duplicates;
  std::vector<RowMark> marks;

  [[nodiscard]] bool is_duplicate(std::uint64_t row) const {
    return !duplicates.empty() && ((duplicates[row / 64] >> (row % 64)) & 1U) != 0;
  }
};

// Segment is the accepted rows of a range of rows, as columns: item i of each is one row; columns
// that the kind does not have are empty. Made
// once and read into again and again, since secret memory is dear to allocate.
struct Segment {
  std::uint64_t first_row = 0;  // of the file, from 0
  std::uint32_t rows = 0;       // of the file that it covers, rejected ones included
  std::vector<keystore::AgencyNumber> agencies;
  std::vector<std::string_view> processing_numbers;  // valid as long as the request is open
  std::vector<std::uint64_t> lines;                  // of the file, from 1
  // Room for as many rows as were ever read: resident codes (of a change the old ones).
  SecretArray<std::uint64_t> codes, new_codes;

  // size is the number of accepted rows.
  [[nodiscard]] std::size_t size() const { return lines.size(); }
  // resident_codes are the first size() codes, as numbers below 10^11.
  [[nodiscard]] std::span<const std::uint64_t> resident_codes() const {
    return codes.span().first(size());
  }
  // new_resident_codes: of a change only.
  [[nodiscard]] std::span<const std::uint64_t> new_resident_codes() const {
    return new_codes.span().first(size());
  }
};

// Request is a request file that is open. One implementation reads the CSV form; others
// (fixed length, encrypted) have the same interface.
class Request {
 public:
  // open reads the first line and the header, no more. kIo when the file cannot be read; kRefused,
  // with `where` = "file:line", when they are not what docs/spec/files.md says. A request that is
  // encrypted is decrypted and verified as a whole before that, into memory of secrets: kRefused
  // with `where` = the file, kHsm when the token fails. See docs/exchange.md.
  [[nodiscard]] static Result<std::unique_ptr<Request>> open(const std::filesystem::path& path,
                                                             const RequestOpening& how = {});
  virtual ~Request() = default;

  [[nodiscard]] virtual const RequestHead& head() const = 0;
  [[nodiscard]] virtual const RequestSender& sender() const = 0;
  // check_sender is kRefused when the sender's certificate was not valid at `time`.
  [[nodiscard]] virtual Status check_sender(std::int64_t time) const = 0;
  // text is every byte, in the clear; resident codes are in it.
  [[nodiscard]] virtual std::string_view text() const = 0;

  // survey looks at every byte once, and at rows a second time when processing numbers of an
  // agency do not ascend. kRefused with `where` = "file:line" when the whole file must be refused:
  // another environment, a byte that is not UTF-8, another number of rows than `records`. Rows that
  // cannot be applied are in Survey::rejects.
  [[nodiscard]] virtual Result<Survey> survey(const SurveyOptions& options) = 0;

  // read fills `segment` with the accepted rows among [first_row, first_row + rows); rows behind
  // the end of the file are left out. `survey` is this request's. Reading on from where the last
  // read ended is cheap, and so is any other row. kRefused when the file was changed since it was
  // opened; kRefused from SecretBuffer::create.
  [[nodiscard]] virtual Status read(const Survey& survey, const RowRules& rules,
                                    std::uint64_t first_row, std::uint32_t rows,
                                    Segment& segment) = 0;

  // check_unchanged is kRefused when size, time of change or identity of the file are not what
  // they were when it was opened.
  [[nodiscard]] virtual Status check_unchanged() const = 0;
};

// is_encrypted_file tells whether a file is a CMS message and not a request in the clear; false for
// one that cannot be read. named_id is the id that an encrypted request has by its file's name,
// which must be ID.p7m; empty for another name.
[[nodiscard]] bool is_encrypted_file(const std::filesystem::path& path);
[[nodiscard]] std::string named_id(const std::filesystem::path& path);

}  // namespace fugo::daemon
