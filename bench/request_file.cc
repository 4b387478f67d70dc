#include "bench/request_file.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"

namespace fugo::bench {
namespace {

constexpr std::uint64_t kCodes = 10'000'000'000U;            // ten digits
constexpr std::uint64_t kNumbers = 10'000'000'000'000'000U;  // sixteen digits
constexpr std::size_t kHomeSlots = std::size_t{1} << 20U;    // some 120 people each
constexpr std::size_t kBufferBytes = std::size_t{1} << 20U;
constexpr unsigned kMostRequests = 12;

// What the random draws are separated by.
enum Draw : std::uint64_t { kDrawHome = 1, kDrawOther, kDrawCode, kDrawOrder, kDrawNumber };

void append_digits(std::string& to, std::uint64_t value, std::size_t width) {
  const std::size_t start = to.size();
  to.resize(start + width);
  for (std::size_t i = width; i-- > 0; value /= 10)
    to[start + i] = static_cast<char>('0' + value % 10);
}

std::uint64_t hash_of(const std::string& text) {
  std::uint64_t hash = text.size();
  for (const char c : text) hash = mix(hash ^ static_cast<unsigned char>(c));
  return hash;
}

// GoodRow is who asks for whom.
struct GoodRow {
  std::uint64_t number = 0;  // processing number
  std::size_t agency = 0;
  std::uint64_t resident = 0;
};

// Rows decides what each good row holds.
class Rows {
 public:
  Rows(const Residents& residents, const RequestOptions& options)
      : residents_(residents),
        options_(options),
        new_rows_(options.residents * options.requests_per_resident),
        known_(std::max<std::uint64_t>(options.known, 1), mix(hash_of(options.id) ^ kDrawOrder)),
        numbers_(kNumbers, mix(hash_of(options.id) ^ kDrawNumber)) {
    for (unsigned i = 0; i < options.requests_per_resident; ++i)
      orders_.emplace_back(std::max<std::uint64_t>(options.residents, 1), mix(i));
  }

  [[nodiscard]] std::uint64_t count() const { return new_rows_ + options_.known_requests; }

  // number is the processing number of line `line` (from 0) of the file, good or bad.
  [[nodiscard]] std::uint64_t number(std::uint64_t line) const {
    return options_.shuffled_numbers ? numbers_.at(line) : line + 1;
  }

  [[nodiscard]] GoodRow row(std::uint64_t index, std::uint64_t line) const {
    const std::uint64_t known_before = index * options_.known_requests / count();
    if ((index + 1) * options_.known_requests / count() > known_before)
      return make(known_.at(known_before), options_.known_ordinal, line);
    const std::uint64_t position = index - known_before;
    const auto ordinal = static_cast<unsigned>(position / options_.residents);
    const std::uint64_t in_pass = position % options_.residents;
    // Later requests of the same people come in another order each time.
    const std::uint64_t who = ordinal == 0 ? in_pass : orders_[ordinal].at(in_pass);
    return make(options_.first + who, ordinal, line);
  }

 private:
  [[nodiscard]] GoodRow make(std::uint64_t resident, unsigned ordinal, std::uint64_t line) const {
    return {number(line), residents_.agency(resident, ordinal), resident};
  }

  const Residents& residents_;
  const RequestOptions& options_;
  std::uint64_t new_rows_;
  Permutation known_, numbers_;
  std::vector<Permutation> orders_;
};

// Writer turns rows into text and text into a file.
class Writer {
 public:
  Writer(const Residents& residents, std::filesystem::path path, UniqueFd fd)
      : residents_(residents), path_(std::move(path)), fd_(std::move(fd)) {
    text_.reserve(kBufferBytes + 256);
  }

  void first_lines(const RequestOptions& options, std::uint64_t records) {
    text_ += fmt::format("#fugo-request,version=1,id={},kind=issue,", options.id);
    if (!options.environment.empty()) text_ += fmt::format("environment={},", options.environment);
    text_ += fmt::format("records={}\nprocessing_number,agency_code,resident_code\n", records);
  }

  void good(const GoodRow& row) {
    append_digits(text_, row.number, 16);
    text_ += ',';
    text_ += residents_.agencies()[row.agency].code;
    text_ += ',';
    append_digits(text_, residents_.code(row.resident), 11);
    text_ += '\n';
  }

  void raw(const std::string& line) { (text_ += line) += '\n'; }

  [[nodiscard]] Status flush_when_full() {
    return text_.size() < kBufferBytes ? Status{} : flush();
  }
  [[nodiscard]] Status flush() {
    FUGO_TRY(write_all(fd_.get(), as_bytes(text_), path_));
    text_.clear();
    return {};
  }

 private:
  const Residents& residents_;
  std::filesystem::path path_;
  UniqueFd fd_;
  std::string text_;
};

// A bad row is made from a good one of its own (`line`) and the last good one before it.
struct BadRowParts {
  std::string number, agency, code;  // all good, of nobody else in the file
  std::string last_number, last_agency;
  std::string suspended_agency;
  std::uint64_t variant = 0;
};
using MakeBadRow = std::string (*)(const BadRowParts&);

std::string malformed(const BadRowParts& p) {
  if (p.variant % 2 == 0) return fmt::format("{},{}", p.number, p.agency);
  return fmt::format("{},{},{},1", p.number, p.agency, p.code);
}
std::string bad_number(const BadRowParts& p) {
  static constexpr std::string_view kNumbersThatAreNone[] = {"", "12-34", "0000000000000000abc",
                                                             "000000000000000000000000000000001"};
  return fmt::format("{},{},{}", kNumbersThatAreNone[p.variant % 4], p.agency, p.code);
}
std::string bad_code(const BadRowParts& p) {
  const std::string start = p.code.substr(0, 10);
  static constexpr std::string_view kEnds[] = {"", "X", "00", "\uff11"};  // the last: full width
  return fmt::format("{},{},{}{}", p.number, p.agency, start, kEnds[p.variant % 4]);
}
std::string bad_check_digit(const BadRowParts& p) {
  std::string code = p.code;
  code.back() = static_cast<char>('0' + (code.back() - '0' + 1) % 10);
  return fmt::format("{},{},{}", p.number, p.agency, code);
}
std::string unknown_agency(const BadRowParts& p) {
  return fmt::format("{},{},{}", p.number, p.variant % 2 == 0 ? "480002" : "ZZ0001", p.code);
}
std::string duplicate_number(const BadRowParts& p) {
  return fmt::format("{},{},{}", p.last_number, p.last_agency, p.code);
}
std::string suspended_agency(const BadRowParts& p) {
  return fmt::format("{},{},{}", p.number, p.suspended_agency, p.code);
}

// In the order of bad_row_reasons().
constexpr MakeBadRow kBadRows[] = {malformed,       bad_number,     bad_code,
                                   bad_check_digit, unknown_agency, duplicate_number,
                                   suspended_agency};

std::string bad_row(const Residents& residents, const RequestOptions& options, std::uint64_t number,
                    std::uint64_t index, const GoodRow& last) {
  const std::size_t reasons = std::size(kBadRows) - (options.suspended_agency.empty() ? 1 : 0);
  const std::uint64_t nobody_else = kCodes - 1 - index;
  BadRowParts parts;
  append_digits(parts.number, number, 16);
  parts.agency = residents.agencies()[residents.agency(nobody_else, 0)].code;
  append_digits(parts.code, residents.code(nobody_else), 11);
  append_digits(parts.last_number, last.number, 16);
  parts.last_agency = residents.agencies()[last.agency].code;
  parts.suspended_agency = options.suspended_agency;
  parts.variant = index / reasons;
  return kBadRows[index % reasons](parts);
}

Status check_options(const RequestOptions& options, std::uint64_t bad_rows) {
  const auto wrong = [](const char* what) { return fail(ErrorCode::kUsage, what); };
  if (options.requests_per_resident < 1 || options.requests_per_resident > kMostRequests)
    return wrong("requests per resident are 1 to 12");
  if (options.known_ordinal >= kMostRequests) return wrong("a known resident's request is 0 to 11");
  if (options.residents + options.known_requests == 0) return wrong("nothing to request");
  if (options.known_requests > options.known)
    return wrong("fewer known residents than requests for them");
  if (std::max(options.first + options.residents, options.known) + bad_rows > kCodes)
    return wrong("more residents than resident codes");
  return {};
}

}  // namespace

Result<Residents> Residents::create(std::vector<RegisteredAgency> agencies, std::uint64_t seed) {
  const bool has_home = std::any_of(agencies.begin(), agencies.end(),
                                    [](const auto& a) { return resident_weight(a) > 0; });
  if (!has_home) return fail(ErrorCode::kUsage, "the registry has no municipality");
  return Residents(std::move(agencies), seed);
}

Residents::Residents(std::vector<RegisteredAgency> agencies, std::uint64_t seed)
    : agencies_(std::move(agencies)), seed_(seed), codes_(kCodes, mix(seed ^ kDrawCode)) {
  double total = 0;
  for (const auto& agency : agencies_) total += resident_weight(agency);
  double sum = 0;
  for (std::size_t i = 0; i < agencies_.size(); ++i) {
    sum += resident_weight(agencies_[i]);
    const auto end = static_cast<std::size_t>(sum / total * static_cast<double>(kHomeSlots));
    homes_.resize(std::max(homes_.size(), std::min(end, kHomeSlots)), i);
    const auto prefecture =
        std::find_if(agencies_.begin(), agencies_.end(), [&](const RegisteredAgency& a) {
          return a.kind == AgencyKind::kPrefecture && a.prefecture == agencies_[i].prefecture;
        });
    prefecture_of_.push_back(prefecture == agencies_.end()
                                 ? i
                                 : static_cast<std::size_t>(prefecture - agencies_.begin()));
    if (agencies_[i].kind != AgencyKind::kPrefecture) others_.push_back(i);
  }
  homes_.resize(kHomeSlots, homes_.back());
  const Permutation order(others_.size(), mix(seed ^ kDrawOrder));
  std::vector<std::size_t> shuffled;
  for (std::size_t i = 0; i < others_.size(); ++i) shuffled.push_back(others_[order.at(i)]);
  others_ = std::move(shuffled);
}

std::uint64_t Residents::code(std::uint64_t resident) const {
  const std::uint64_t ten_digits = codes_.at(resident);
  return ten_digits * 10 + resident_check_digit(ten_digits);
}

std::size_t Residents::home(std::uint64_t resident) const {
  return homes_[mix(mix(seed_ ^ kDrawHome) ^ resident) % kHomeSlots];
}

std::size_t Residents::agency(std::uint64_t resident, unsigned ordinal) const {
  const std::size_t at_home = home(resident);
  if (ordinal == 0) return at_home;
  if (ordinal == 1 && prefecture_of_[at_home] != at_home) return prefecture_of_[at_home];
  // Neighbours in a shuffled list are distinct; only the home has to be left out.
  std::size_t position = mix(mix(seed_ ^ kDrawOther) ^ resident) % others_.size();
  for (unsigned left = ordinal - 1;; position = (position + 1) % others_.size()) {
    if (others_[position] == at_home) continue;
    if (left == 0) return others_[position];
    --left;
  }
}

const std::vector<std::string>& bad_row_reasons() {
  static const std::vector<std::string> reasons{
      "malformed_row",  "bad_processing_number",       "bad_resident_code", "bad_check_digit",
      "unknown_agency", "duplicate_processing_number", "suspended_agency"};
  return reasons;
}

Result<std::uint64_t> write_request(const Residents& residents, const RequestOptions& options,
                                    const std::filesystem::path& path) {
  const std::size_t reasons = std::size(kBadRows) - (options.suspended_agency.empty() ? 1 : 0);
  const std::uint64_t bad_rows = options.bad_rows_each * reasons;
  FUGO_TRY(check_options(options, bad_rows));
  const Rows rows(residents, options);
  const std::uint64_t lines = rows.count() + bad_rows;
  FUGO_ASSIGN(auto fd, open_file(path, O_WRONLY | O_CREAT | O_TRUNC));
  Writer writer(residents, path, std::move(fd));
  writer.first_lines(options, lines);
  GoodRow last;
  for (std::uint64_t line = 0, bad = 0; line < lines; ++line) {
    // Bad rows are spread evenly; the first line is always a good one.
    if ((line + 1) * bad_rows / lines > bad && line > 0) {
      writer.raw(bad_row(residents, options, rows.number(line), bad++, last));
    } else {
      last = rows.row(line - bad, line);
      writer.good(last);
    }
    FUGO_TRY(writer.flush_when_full());
  }
  FUGO_TRY(writer.flush());
  return lines;
}

}  // namespace fugo::bench
