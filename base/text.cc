#include "base/text.h"

#include <array>
#include <cstdlib>
#include <ctime>
#include <filesystem>

namespace fugo {
namespace {

constexpr std::string_view kCrockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::string_view kBase36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::size_t kNumberLength = 26;
constexpr std::uint8_t kNone = 0xFF;

constexpr std::array<std::uint8_t, 256> values_of(std::string_view alphabet) {
  std::array<std::uint8_t, 256> values{};
  values.fill(kNone);
  for (std::size_t i = 0; i < alphabet.size(); ++i)
    values[static_cast<std::uint8_t>(alphabet[i])] = static_cast<std::uint8_t>(i);
  return values;
}
constexpr auto kCrockfordValues = values_of(kCrockford);
constexpr auto kBase36Values = values_of(kBase36);

// The hybrid system of ISO/IEC 7064, clause 9, with modulus 36 (so 37,36).
char mod_37_36_check_character(const char* text, std::size_t length) {
  // Both remainders are of numbers below twice their modulus, so a subtraction does for them; a
  // sum that 36 divides counts as 36.
  unsigned product = 36;
  for (std::size_t i = 0; i < length; ++i) {
    unsigned sum = product + kBase36Values[static_cast<std::uint8_t>(text[i])];
    sum -= sum > 36 ? 36 : 0;
    product = 2 * sum;
    product -= product > 37 ? 37 : 0;
  }
  return kBase36[(37 - product) % 36];
}

std::tm local_time(std::int64_t unix_seconds) {
  const auto seconds = static_cast<std::time_t>(unix_seconds);
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  return parts;
}

std::string format(const std::tm& parts, const char* pattern) {
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(), pattern, &parts)};
}

}  // namespace

std::string hex(ByteView bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 0xFU];
  }
  return text;
}

std::optional<std::string> unhex(std::string_view digits) {
  if (digits.size() % 2 != 0) return std::nullopt;
  const auto value = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  std::string bytes;
  bytes.reserve(digits.size() / 2);
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    const int high = value(digits[i]);
    const int low = value(digits[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes += static_cast<char>(high * 16 + low);
  }
  return bytes;
}

void encode_symbol(const Block& symbol, char* to) {
  auto high = load_be<std::uint64_t>(symbol.bytes.data());
  auto low = load_be<std::uint64_t>(symbol.bytes.data() + 8);
  for (std::size_t i = kNumberLength; i-- > 0;) {
    to[i] = kCrockford[low & 31U];
    low = low >> 5U | high << 59U;
    high >>= 5U;
  }
  to[kNumberLength] = mod_37_36_check_character(to, kNumberLength);
}

std::string encode_symbol(const Block& symbol) {
  std::string text(kSymbolTextLength, '\0');
  encode_symbol(symbol, text.data());
  return text;
}

std::optional<Block> decode_symbol(std::string_view text) {
  if (text.size() != kSymbolTextLength || text[0] > '7') return std::nullopt;
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  for (std::size_t i = 0; i < kNumberLength; ++i) {
    const std::uint8_t value = kCrockfordValues[static_cast<std::uint8_t>(text[i])];
    if (value == kNone) return std::nullopt;
    high = high << 5U | low >> 59U;
    low = low << 5U | value;
  }
  if (mod_37_36_check_character(text.data(), kNumberLength) != text[kNumberLength])
    return std::nullopt;
  Block symbol;
  store_be(symbol.bytes.data(), high);
  store_be(symbol.bytes.data() + 8, low);
  return symbol;
}

Status set_time_zone(const std::string& time_zone) {
  const auto path = std::filesystem::path("/usr/share/zoneinfo") / time_zone;
  std::error_code ignored;
  if (time_zone.empty() || time_zone.front() == '/' || time_zone.find("..") != std::string::npos ||
      !std::filesystem::is_regular_file(path, ignored))
    return fail(ErrorCode::kUsage, "the time zone \"" + time_zone + "\" is not known", "time_zone",
                "use an IANA name such as Asia/Tokyo, and install tzdata");
  // A daemon that checks its configuration again has threads, beside which TZ must not be written.
  const char* current = std::getenv("TZ");
  if (current != nullptr && time_zone == current) return {};
  ::setenv("TZ", time_zone.c_str(), 1);
  ::tzset();
  return {};
}

std::string format_time(std::int64_t unix_seconds) {
  std::string text = format(local_time(unix_seconds), "%Y-%m-%dT%H:%M:%S%z");
  return text.insert(text.size() - 2, ":");
}

std::string local_day(std::int64_t unix_seconds) {
  return format(local_time(unix_seconds), "%Y-%m-%d");
}

std::int64_t unix_now() { return static_cast<std::int64_t>(std::time(nullptr)); }

}  // namespace fugo
