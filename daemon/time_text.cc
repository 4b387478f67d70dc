#include "daemon/time_text.h"

#include <charconv>
#include <ctime>
#include <string_view>

namespace fugo::daemon {

Result<std::int64_t> parse_time(const std::string& text) {
  const auto bad = [&] {
    return fail(ErrorCode::kUsage, "is not an RFC 3339 time", text,
                "such as 2026-11-28T09:00:00+09:00");
  };
  // strptime takes blanks, and numbers with fewer digits.
  constexpr std::string_view kForm = "dddd-dd-ddTdd:dd:dd";
  if (text.size() < kForm.size() || text.find('\0') != std::string::npos) return bad();
  for (std::size_t i = 0; i < kForm.size(); ++i)
    if (kForm[i] == 'd' ? (text[i] < '0' || text[i] > '9') : text[i] != kForm[i]) return bad();
  std::tm parts{};
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return bad();
  std::int64_t seconds = ::timegm(&parts);
  const std::string zone = rest;
  if (zone == "Z") return seconds;
  int hours = 0, minutes = 0;
  const bool good = zone.size() == 6 && (zone[0] == '+' || zone[0] == '-') && zone[3] == ':' &&
                    std::from_chars(&zone[1], &zone[3], hours).ptr == &zone[3] &&
                    std::from_chars(&zone[4], &zone[5] + 1, minutes).ptr == &zone[5] + 1 &&
                    hours >= 0 && hours < 24 && minutes >= 0 && minutes < 60;
  if (!good) return bad();
  const std::int64_t offset = 60 * (60 * std::int64_t{hours} + minutes);
  return zone[0] == '+' ? seconds - offset : seconds + offset;
}

}  // namespace fugo::daemon
