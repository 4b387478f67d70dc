// The CSV form of request files.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "daemon/exchange/message.h"
#include "daemon/exchange/site_key.h"
#include "daemon/files/encoding.h"
#include "daemon/files/head.h"
#include "daemon/files/request.h"
#include "daemon/files/row.h"
#include "daemon/files/survey.h"

namespace fugo::daemon {
namespace {

// Identity tells whether a path still names the same, unchanged file.
struct Identity {
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = 0;
  std::int64_t seconds = 0, nanoseconds = 0;
  friend bool operator==(const Identity&, const Identity&) = default;
};

Result<Identity> identify(const std::filesystem::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return fail_errno("cannot read", path.string(), errno);
  return Identity{info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec,
                  info.st_mtim.tv_nsec};
}

class CsvRequest final : public Request {
 public:
  static Result<std::unique_ptr<Request>> open(const std::filesystem::path& path,
                                               const RequestOpening& how);

  const RequestHead& head() const override { return head_; }
  const RequestSender& sender() const override { return sender_; }
  Status check_sender(std::int64_t time) const override;
  std::string_view text() const override { return text_.file; }
  Result<Survey> survey(const SurveyOptions& options) override {
    SurveyOptions mine = options;
    mine.rules.kind = head_.kind;
    FUGO_ASSIGN(auto survey, survey_rows(text_, head_, mine));
    FUGO_TRY(check_unchanged());
    return survey;
  }
  Status read(const Survey& survey, const RowRules& rules, std::uint64_t first_row,
              std::uint32_t rows, Segment& segment) override;
  Status check_unchanged() const override;

 private:
  Status decrypt(const RequestOpening& how);
  // refuse_text_form knows the forms of CMS that are not DER.
  Status refuse_text_form() const;
  Status read_head();
  // seek makes next_ the place of `row`.
  void seek(const Survey& survey, std::uint64_t row);

  MappedFile file_;
  OpenedMessage message_;  // of an encrypted request what was in it
  RequestSender sender_;
  Identity identity_;
  RequestText text_;
  RequestHead head_;
  RowMark next_;  // where the last read ended; offset 0: nowhere yet
};

Result<std::unique_ptr<Request>> CsvRequest::open(const std::filesystem::path& path,
                                                  const RequestOpening& how) {
  auto request = std::make_unique<CsvRequest>();
  FUGO_ASSIGN(request->identity_, identify(path));
  FUGO_ASSIGN(request->file_, MappedFile::open(path));
  request->text_.path = path;
  request->text_.file = as_text(request->file_.bytes());
  FUGO_TRY(request->check_unchanged());
  request->file_.advise_sequential();
  if (looks_encrypted(request->file_.bytes()))
    FUGO_TRY(request->decrypt(how));
  else if (how.rules.require_encrypted)
    return fail(ErrorCode::kRefused, "is not encrypted, and this site takes no other request",
                path.string(), "docs/exchange.md has the commands that make one");
  FUGO_TRY(request->refuse_text_form());
  FUGO_TRY(request->read_head());
  return request;
}

// A folder that is not there, or has nothing in it, is no fault of the request: a path is wrong, or
// a file system is not mounted. A site that takes no encrypted requests has neither, and no key: it
// may refuse them. Where there is a key both folders are away, as when they are on one disk.
Status check_folders(const RequestOpening& how, const std::vector<Certificate>& senders,
                     const std::vector<Certificate>& own) {
  const ExchangeRules& rules = how.rules;
  std::error_code ignored;
  if (senders.empty() && own.empty() && !std::filesystem::exists(rules.senders, ignored) &&
      !std::filesystem::exists(rules.certificates, ignored)) {
    bool has_key = false;
    if (how.ledger != nullptr) {
      FUGO_ASSIGN(has_key, has_site_key(*how.ledger));
    }
    if (!has_key) return {};
  }
  if (senders.empty())
    return fail(ErrorCode::kRefused, "has no certificate of a known sender in it",
                rules.senders.string(), "docs/exchange.md says how one comes there");
  if (own.empty())
    return fail(ErrorCode::kRefused, "has no certificate of this site in it",
                rules.certificates.string(), "fugo exchange create makes one");
  return {};
}

Status CsvRequest::decrypt(const RequestOpening& how) {
  const std::string where = text_.path.string();
  if (how.token == nullptr)
    return fail(ErrorCode::kRefused, "is encrypted, and only requests that are processed may be",
                where, "decrypt it first");
  if (file_.size() > how.rules.most_bytes)
    return fail(ErrorCode::kRefused,
                fmt::format("is encrypted and has {} bytes, more than the {} that may be opened as "
                            "a whole",
                            file_.size(), how.rules.most_bytes),
                where, "split it into several requests, or raise exchange.largest_mib");
  FUGO_TRY(check_trusted(how.rules.senders));
  FUGO_TRY(check_trusted(how.rules.certificates));
  FUGO_ASSIGN(auto senders, read_certificates(how.rules.senders));
  FUGO_ASSIGN(const auto own, read_certificates(how.rules.certificates));
  FUGO_TRY(check_folders(how, senders, own));
  FUGO_ASSIGN(auto clear, decrypt_message(file_.bytes(), own, *how.token, text_.path));
  FUGO_ASSIGN(message_, verify_message(std::move(clear), std::move(senders), text_.path));
  sender_.name = message_.sender.name();
  FUGO_ASSIGN(sender_.certificate, message_.sender.fingerprint());
  text_.file = message_.text();
  return {};
}

Status CsvRequest::refuse_text_form() const {
  for (const std::string_view start : {"-----BEGIN CMS", "-----BEGIN PKCS7", "MIME-Version:"})
    if (text_.file.starts_with(start))
      return fail(ErrorCode::kRefused, "is a CMS message as text", text_.path.string(),
                  "give openssl cms the option -outform DER");
  return {};
}

Status CsvRequest::check_sender(std::int64_t time) const {
  if (sender_.name.empty()) return {};
  auto valid = message_.sender.check_valid(time);
  if (!valid) valid.error().where = text_.path.string();
  return valid;
}

Status CsvRequest::read_head() {
  const auto refuse = [this](const char* what, int line) {
    return fail(ErrorCode::kRefused, what, fmt::format("{}:{}", text_.path.string(), line),
                "see docs/spec/files.md for the form of a request");
  };
  if (text_.file.empty()) return refuse("the file is empty", 1);
  FUGO_TRY(check_start(text_.file, text_.path));
  Lines lines(text_.file);
  for (int number = 1; number <= 2; ++number) {
    std::string_view line;
    if (!lines.next(line)) return refuse("the file ends behind the first line", number);
    if (line.size() > kMaxLineBytes) return refuse("the line is too long", number);
    if (const auto bad = first_bad_utf8(line); bad != std::string_view::npos) {
      const auto start = static_cast<std::size_t>(line.data() - text_.file.data());
      constexpr std::size_t kSample = 64U << 10U;
      return refuse_encoding(text_.path, static_cast<std::uint64_t>(number),
                             text_.file.substr(start, kSample), bad);
    }
    if (number == 1) {
      FUGO_ASSIGN(head_, parse_head(line, text_.path));
    } else {
      FUGO_TRY(check_header(line, head_.kind, text_.path));
    }
  }
  text_.rows = text_.file.substr(static_cast<std::size_t>(lines.rest() - text_.file.data()));
  // One empty line at the end is no row.
  for (const std::string_view empty : {std::string_view("\r\n"), std::string_view("\n")}) {
    if (!text_.rows.ends_with(empty)) continue;
    const auto before = text_.rows.substr(0, text_.rows.size() - empty.size());
    if (before.empty() || before.ends_with('\n')) {
      text_.rows = before;
      break;
    }
  }
  return {};
}

Status CsvRequest::check_unchanged() const {
  const auto now = identify(text_.path);
  if (now && *now == identity_ && static_cast<std::size_t>(identity_.size) == file_.size())
    return {};
  return fail(ErrorCode::kRefused, "the request was changed while it was read", text_.path.string(),
              "let nobody write to it, and start again");
}

void CsvRequest::seek(const Survey& survey, std::uint64_t row) {
  auto mark =
      std::upper_bound(survey.marks.begin(), survey.marks.end(), row,
                       [](std::uint64_t wanted, const RowMark& m) { return wanted < m.row; });
  RowMark from{0, static_cast<std::uint64_t>(text_.rows.data() - text_.file.data())};
  if (mark != survey.marks.begin()) from = *--mark;
  if (next_.offset == 0 || next_.row > row || next_.row < from.row) next_ = from;
  const std::size_t end =
      static_cast<std::size_t>(text_.rows.data() - text_.file.data()) + text_.rows.size();
  Lines lines(text_.file.substr(next_.offset, end - next_.offset));
  std::string_view line;
  while (next_.row < row && lines.next(line)) ++next_.row;
  next_.offset = static_cast<std::uint64_t>(lines.rest() - text_.file.data());
}

Status CsvRequest::read(const Survey& survey, const RowRules& rules, std::uint64_t first_row,
                        std::uint32_t rows, Segment& segment) {
  segment.first_row = first_row;
  segment.rows = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(rows, survey.rows - std::min(survey.rows, first_row)));
  segment.agencies.clear();
  segment.processing_numbers.clear();
  segment.lines.clear();
  if (segment.codes.size() < segment.rows) {
    FUGO_ASSIGN(segment.codes, SecretArray<std::uint64_t>::create(segment.rows));
  }
  if (head_.kind == keystore::JobKind::kChange && segment.new_codes.size() < segment.rows) {
    FUGO_ASSIGN(segment.new_codes, SecretArray<std::uint64_t>::create(segment.rows));
  }
  if (segment.rows == 0) return check_unchanged();
  seek(survey, first_row);
  const std::size_t end =
      static_cast<std::size_t>(text_.rows.data() - text_.file.data()) + text_.rows.size();
  Lines lines(text_.file.substr(next_.offset, end - next_.offset));
  std::string_view line;
  RequestRow row;
  RowRules mine = rules;
  mine.kind = head_.kind;
  for (const std::uint64_t stop = first_row + segment.rows; next_.row < stop; ++next_.row) {
    if (!lines.next(line)) break;
    if (next_.row >= survey.row_quota || survey.is_duplicate(next_.row) ||
        !check_row(line, mine, row))
      continue;
    segment.codes[segment.size()] = row.code;
    if (head_.kind == keystore::JobKind::kIssue) {
      segment.agencies.push_back(row.agency);
      segment.processing_numbers.push_back(row.processing_number);
    } else if (head_.kind == keystore::JobKind::kChange) {
      segment.new_codes[segment.size()] = row.new_code;
    }
    segment.lines.push_back(next_.row + kFirstRowLine);
  }
  wipe_codes(row);
  next_.offset = static_cast<std::uint64_t>(lines.rest() - text_.file.data());
  return check_unchanged();
}

}  // namespace

Result<std::unique_ptr<Request>> Request::open(const std::filesystem::path& path,
                                               const RequestOpening& how) {
  return CsvRequest::open(path, how);
}

bool is_encrypted_file(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  return file && looks_encrypted(file->bytes());
}

std::string named_id(const std::filesystem::path& path) {
  std::string id = path.stem().string();
  return path.extension() == ".p7m" && is_request_id(id) ? id : std::string();
}

}  // namespace fugo::daemon
