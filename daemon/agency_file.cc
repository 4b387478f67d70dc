#include "daemon/agency_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "daemon/files/encoding.h"
#include "daemon/utf8.h"
#include "engine/methods.h"

namespace fugo::daemon {
namespace {

constexpr std::string_view kHeader = "agency_code,name,method";
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::size_t kMaxNameBytes = 256;

// take_field cuts the first field off `rest`; nothing when its quotation marks are wrong.
std::optional<std::string> take_field(std::string_view& rest, bool& last) {
  std::string field;
  if (rest.empty() || rest.front() != '"') {
    const auto comma = rest.find(',');
    field = rest.substr(0, comma);
    if (field.find('"') != std::string::npos) return std::nullopt;
    last = comma == std::string_view::npos;
    rest.remove_prefix(last ? rest.size() : comma + 1);
    return field;
  }
  std::size_t at = 1;
  for (; at < rest.size(); ++at) {
    if (rest[at] != '"') {
      field += rest[at];
    } else if (at + 1 < rest.size() && rest[at + 1] == '"') {
      field += '"';
      ++at;
    } else {
      break;
    }
  }
  if (at >= rest.size()) return std::nullopt;  // no closing mark
  rest.remove_prefix(at + 1);
  last = rest.empty();
  if (!last && rest.front() != ',') return std::nullopt;
  if (!last) rest.remove_prefix(1);
  return field;
}

std::optional<std::vector<std::string>> fields_of(std::string_view line) {
  std::vector<std::string> fields;
  for (bool last = false; !last;) {
    auto field = take_field(line, last);
    if (!field) return std::nullopt;
    fields.push_back(std::move(*field));
  }
  return fields;
}

// LineReader cuts a text into lines without their ends.
class LineReader {
 public:
  explicit LineReader(std::string_view text) : rest_(text) {}
  bool next(std::string_view& line) {
    if (rest_.empty()) return false;
    const auto end = rest_.find('\n');
    line = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    ++number_;
    return true;
  }
  [[nodiscard]] std::uint64_t number() const { return number_; }

 private:
  std::string_view rest_;
  std::uint64_t number_ = 0;
};

std::optional<NewAgency> agency_of(std::string_view line, std::uint64_t number,
                                   Mistakes& mistakes) {
  if (const auto bad = first_bad_utf8(line); bad != std::string_view::npos) {
    const auto encoding = guess_encoding(line);
    mistakes.add(number, fmt::format("byte {} is not UTF-8{}", bad + 1,
                                     encoding.empty() ? "" : "; it looks like " + encoding));
    return std::nullopt;
  }
  auto fields = fields_of(line);
  if (!fields) {
    mistakes.add(number, "quotation marks are not closed or not doubled");
    return std::nullopt;
  }
  if (fields->size() != 3) {
    mistakes.add(number, fmt::format("has {} fields, not 3", fields->size()));
    return std::nullopt;
  }
  return NewAgency{number, std::move((*fields)[0]), std::move((*fields)[1]),
                   std::move((*fields)[2])};
}

}  // namespace

bool valid_agency_code(std::string_view code) {
  return !code.empty() && code.size() <= 16 && std::all_of(code.begin(), code.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
  });
}

void check_new_agency(const NewAgency& agency, bool production, Mistakes& mistakes) {
  if (!valid_agency_code(agency.code))
    mistakes.add(agency.line, "the agency code must be 1 to 16 characters of 0-9A-Z");
  if (agency.name.empty() || agency.name.size() > kMaxNameBytes || !is_presentable(agency.name))
    mistakes.add(agency.line,
                 "the name must be 1 to 256 bytes of UTF-8 without control characters");
  if (agency.method.empty()) return;
  const auto* method = engine::find_method(agency.method);
  if (method == nullptr || !method->for_agency)
    mistakes.add(agency.line,
                 "the method is not one for agency symbols: cmac-ff-aes256, "
                 "hmac-sha256 or xts-aes256");
  else if (method->test_only && production)
    mistakes.add(agency.line, "test methods are refused in production");
}

std::vector<NewAgency> parse_agency_file(std::string_view text, Mistakes& mistakes) {
  std::vector<NewAgency> agencies;
  LineReader lines(text);
  std::string_view line;
  const bool some = lines.next(line);
  if (some && line.substr(0, kByteOrderMark.size()) == kByteOrderMark) {
    mistakes.add(1, "begins with a byte order mark: save the file as UTF-8 without it");
    line.remove_prefix(kByteOrderMark.size());
  }
  if (!some || line != kHeader)
    mistakes.add(1, fmt::format("the first line must be \"{}\"", kHeader));
  std::map<std::string, std::uint64_t> first_lines;
  while (lines.next(line)) {
    auto agency = agency_of(line, lines.number(), mistakes);
    if (!agency) continue;
    const auto [at, fresh] = first_lines.emplace(agency->code, agency->line);
    if (!fresh)
      mistakes.add(agency->line,
                   fmt::format("the same agency code is in line {} already", at->second));
    agencies.push_back(std::move(*agency));
  }
  return agencies;
}

}  // namespace fugo::daemon
