#include "daemon/files/survey.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>

#include "base/parallel.h"
#include "daemon/files/duplicates.h"
#include "daemon/files/encoding.h"
#include "daemon/files/request_hmac.h"
#include "daemon/files/row.h"

namespace fugo::daemon {
namespace {

constexpr std::uint64_t kRowsBetweenAsking = 1U << 16U;

// PieceReject is a rejected row of a piece; offsets are within the piece.
struct PieceReject {
  std::uint32_t row = 0, number_offset = 0;
  keystore::AgencyNumber agency = 0;
  std::uint8_t number_length = 0;
  RejectReason reason{};
};

// Span names the first and the last processing number that an agency has in a piece.
struct Span {
  keystore::AgencyNumber agency = 0;
  std::string_view first, last;
};

// PieceResult is what one piece has to say; put together in the order of the file.
struct PieceResult {
  std::uint64_t rows = 0;
  std::vector<PieceReject> rejects;
  std::vector<Span> spans;  // empty once order does not matter any more
  bool ascending = true;
  std::optional<std::uint64_t> bad_line;  // row of the first byte that is not UTF-8
};

// OrderTracker sees whether each agency's processing numbers ascend within a piece. One a worker.
class OrderTracker {
 public:
  explicit OrderTracker(std::size_t agencies) : last_(agencies) {}

  // begin starts a piece; false from then on when an agency's numbers do not ascend.
  void begin() { ++stamp_; }
  bool see(keystore::AgencyNumber agency, std::string_view number, std::vector<Span>& spans) {
    Last& last = last_[agency];
    if (last.stamp != stamp_) {
      last = {stamp_, static_cast<std::uint32_t>(spans.size())};
      spans.push_back({agency, number, number});
      return true;
    }
    std::string_view& before = spans[last.span].last;
    const bool ascends = before < number;
    before = number;
    return ascends;
  }

 private:
  struct Last {
    std::uint32_t stamp = 0, span = 0;
  };
  std::vector<Last> last_;
  std::uint32_t stamp_ = 0;
};

class Surveyor {
 public:
  Surveyor(const RequestText& text, const RequestHead& head, const SurveyOptions& options)
      : text_(text),
        options_(options),
        pieces_(text.rows, std::max<std::size_t>(options.piece_in_bytes, 1)),
        last_numbers_(options.rules.agencies->highest_number() + 1U) {
    survey_.head = head;
    survey_.rejected_by_agency.resize(last_numbers_.size());
  }

  Result<Survey> run();

 private:
  Status make_hmac();
  Status look_at_rows();
  Status reject_beyond_quota();
  void look_at_piece(std::size_t index, OrderTracker& order, PieceResult& result);
  // put_in_order hands results to take() in the order of the file; it waits when a piece that
  // comes long before is not there yet, so that memory stays bounded.
  Status put_in_order(std::size_t index, PieceResult&& result);
  Status take(std::size_t index, const PieceResult& result);
  Status refuse_bytes(std::string_view piece, std::uint64_t row) const;
  Status check_count() const;

  const RequestText& text_;
  const SurveyOptions& options_;
  const Pieces pieces_;
  std::atomic<bool> ascending_{true};
  std::atomic<bool> stop_{false};

  std::mutex mutex_;  // guards what follows
  std::condition_variable moved_on_;
  std::map<std::size_t, PieceResult> waiting_;
  std::size_t next_piece_ = 0;
  std::vector<std::string_view> last_numbers_;  // by agency
  Survey survey_;
};

Result<Survey> Surveyor::run() {
  if (!survey_.head.environment.empty() && survey_.head.environment != options_.environment)
    return fail(ErrorCode::kRefused,
                fmt::format("the request is for environment {}, this ledger is {}",
                            survey_.head.environment, options_.environment),
                text_.path.string() + ":1", "check where the file was meant to go");
  FUGO_ASSIGN(survey_.rejects,
              RejectList::create(options_.temporary_directory, options_.memory_in_bytes / 8));
  // The HMAC takes longer than the rows: it gets a thread of its own.
  FUGO_TRY(parallel_ranges(2, 1, 2, [&](std::size_t first, std::size_t, std::size_t) -> Status {
    auto done = first == 0 ? make_hmac() : look_at_rows();
    if (!done) {
      const std::lock_guard lock(mutex_);
      stop_ = true;
      moved_on_.notify_all();
    }
    return done;
  }));
  if (options_.progress) options_.progress(text_.rows.size(), text_.rows.size());
  if (!ascending_) FUGO_TRY(find_duplicates(pieces_, options_, survey_));
  FUGO_TRY(reject_beyond_quota());
  return std::move(survey_);
}

Status Surveyor::make_hmac() {
  if (options_.hmac_key == nullptr) return {};
  return request_hmac(text_.file, options_, stop_, survey_.hmac);
}

Status Surveyor::look_at_rows() {
  const std::size_t threads = std::max<std::size_t>(options_.threads, 1);
  std::vector<OrderTracker> orders(threads, OrderTracker(last_numbers_.size()));
  FUGO_TRY(parallel_ranges(pieces_.count(), 1, threads,
                           [&](std::size_t index, std::size_t, std::size_t worker) -> Status {
                             PieceResult result;
                             auto done = options_.going();
                             if (done) {
                               look_at_piece(index, orders[worker], result);
                               done = put_in_order(index, std::move(result));
                             }
                             if (!done) {
                               const std::lock_guard lock(mutex_);
                               stop_ = true;
                               moved_on_.notify_all();
                             }
                             return done;
                           }));
  return check_count();
}

// The quota is looked at behind everything else that may be wrong with a row of the file.
Status Surveyor::reject_beyond_quota() {
  survey_.row_quota = options_.row_quota;
  if (survey_.rows <= options_.row_quota) return {};
  Lines lines(text_.rows);
  std::string_view line;
  RequestRow row;
  for (std::uint64_t number = 0; lines.next(line); ++number) {
    if (number < options_.row_quota || survey_.is_duplicate(number)) continue;
    if (number % kRowsBetweenAsking == 0) FUGO_TRY(options_.going());
    if (!check_row(line, options_.rules, row)) continue;
    ++survey_.rejected_by_agency[row.agency];
    FUGO_TRY(survey_.rejects.add(
        {number + kFirstRowLine, RejectReason::kQuotaExceeded, row.processing_number}));
  }
  wipe_codes(row);
  return {};
}

void Surveyor::look_at_piece(std::size_t index, OrderTracker& order, PieceResult& result) {
  const std::string_view piece = pieces_.piece(index);
  Lines lines(piece);
  std::string_view line;
  RequestRow row;
  bool watch_order = ascending_ && options_.rules.kind == keystore::JobKind::kIssue;
  order.begin();
  for (; lines.next(line); ++result.rows) {
    if (check_row(line, options_.rules, row)) {
      if (!watch_order) continue;
      watch_order = result.ascending = order.see(row.agency, row.processing_number, result.spans);
      continue;
    }
    // What is not ASCII is never accepted, so looking at rejected rows finds every bad byte.
    if (first_bad_utf8(line) != std::string_view::npos) {
      result.bad_line = result.rows;
      break;
    }
    PieceReject reject;
    reject.row = static_cast<std::uint32_t>(result.rows);
    reject.agency = row.agency;
    reject.reason = row.reason;
    reject.number_length = static_cast<std::uint8_t>(row.processing_number.size());
    if (reject.number_length != 0)
      reject.number_offset =
          static_cast<std::uint32_t>(row.processing_number.data() - piece.data());
    result.rejects.push_back(reject);
  }
  wipe_codes(row);
}

Status Surveyor::put_in_order(std::size_t index, PieceResult&& result) {
  std::unique_lock lock(mutex_);
  moved_on_.wait(lock, [&] {
    return stop_ || index < next_piece_ + 2 * std::max<std::size_t>(options_.threads, 1);
  });
  if (stop_) return {};
  waiting_.emplace(index, std::move(result));
  for (auto ready = waiting_.begin(); ready != waiting_.end() && ready->first == next_piece_;
       ready = waiting_.begin()) {
    FUGO_TRY(take(ready->first, ready->second));
    waiting_.erase(ready);
    ++next_piece_;
  }
  moved_on_.notify_all();
  return {};
}

Status Surveyor::take(std::size_t index, const PieceResult& result) {
  const std::string_view piece = pieces_.piece(index);
  if (result.bad_line) return refuse_bytes(piece, *result.bad_line);
  survey_.marks.push_back(
      {survey_.rows, static_cast<std::uint64_t>(piece.data() - text_.file.data())});
  for (const auto& reject : result.rejects) {
    ++survey_.rejected_by_agency[reject.agency];
    FUGO_TRY(survey_.rejects.add({survey_.rows + reject.row + kFirstRowLine, reject.reason,
                                  piece.substr(reject.number_offset, reject.number_length)}));
  }
  survey_.rows += result.rows;
  if (options_.progress)
    options_.progress(static_cast<std::uint64_t>(piece.data() + piece.size() - text_.rows.data()),
                      text_.rows.size());
  if (!ascending_) return {};
  for (const auto& span : result.spans) {
    std::string_view& last = last_numbers_[span.agency];
    if (!result.ascending || last >= span.first) {
      ascending_ = false;
      return {};
    }
    last = span.last;
  }
  return {};
}

Status Surveyor::refuse_bytes(std::string_view piece, std::uint64_t row) const {
  Lines lines(piece);
  std::string_view line;
  for (std::uint64_t i = 0; i <= row; ++i)
    if (!lines.next(line)) break;
  constexpr std::size_t kSample = 64U << 10U;
  const auto left = static_cast<std::size_t>(text_.file.data() + text_.file.size() - line.data());
  return refuse_encoding(text_.path, survey_.rows + row + kFirstRowLine,
                         {line.data(), std::min(left, std::max(kSample, line.size()))},
                         first_bad_utf8(line));
}

Status Surveyor::check_count() const {
  if (survey_.rows == survey_.head.records) return {};
  const std::string where = fmt::format(
      "{}:{}", text_.path.string(), std::min(survey_.rows, survey_.head.records) + kFirstRowLine);
  if (survey_.rows < survey_.head.records)
    return fail(ErrorCode::kRefused,
                fmt::format("the first line says {} records, but {} rows follow",
                            survey_.head.records, survey_.rows),
                where, "the file seems to be cut off: get it again");
  return fail(ErrorCode::kRefused,
              fmt::format("the first line says {} records, but {} rows follow",
                          survey_.head.records, survey_.rows),
              where, "check how the file was made, and get it again");
}

}  // namespace

std::size_t Pieces::start(std::size_t i) const {
  const std::size_t nominal = i * bytes_;
  if (nominal == 0) return 0;
  if (nominal >= rows_.size()) return rows_.size();
  const void* newline = std::memchr(rows_.data() + nominal - 1, '\n', rows_.size() - nominal + 1);
  if (newline == nullptr) return rows_.size();
  return static_cast<std::size_t>(static_cast<const char*>(newline) - rows_.data()) + 1;
}

std::string_view Pieces::piece(std::size_t i) const {
  const std::size_t first = start(i);
  return rows_.substr(first, start(i + 1) - first);
}

Result<Survey> survey_rows(const RequestText& text, const RequestHead& head,
                           const SurveyOptions& options) {
  return Surveyor(text, head, options).run();
}

}  // namespace fugo::daemon
