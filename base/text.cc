#include "base/text.h"

#include <array>
#include <cstdlib>
#include <cstring>
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

// The hybrid system of ISO/IEC 7064, clause 9, with modulus 36 (so 37,36): the product after one
// more character. Both remainders are of numbers below twice their modulus; a sum that 36 divides
// counts as 36.
constexpr unsigned next_product(unsigned product, unsigned value) {
  const unsigned sum = product + value - (product + value > 36 ? 36 : 0);
  return 2 * sum - (2 * sum > 37 ? 37 : 0);
}

char check_character(unsigned product) { return kBase36[(37 - product) % 36]; }

char mod_37_36_check_character(const char* text, std::size_t length) {
  unsigned product = 36;
  for (std::size_t i = 0; i < length; ++i)
    product = next_product(product, kBase36Values[static_cast<std::uint8_t>(text[i])]);
  return check_character(product);
}

// Pair is two Crockford characters, which 10 bits of a symbol are written as.
constexpr std::size_t kPairs = 1024;

// PairTables spare a batch's answers the check character's chain of 26 steps that each wait for
// the one before: half the steps, each a look-up.
struct PairTables {
  std::array<std::array<char, 2>, kPairs> text;
  std::array<std::array<std::uint8_t, kPairs>, 37> next;  // by product, which is 1 to 36

  PairTables() : text(), next() {
    for (std::size_t pair = 0; pair < kPairs; ++pair) {
      text[pair] = {kCrockford[pair >> 5U], kCrockford[pair & 31U]};
      for (unsigned product = 1; product < next.size(); ++product) {
        unsigned after = product;
        for (const char c : text[pair])
          after = next_product(after, kBase36Values[static_cast<std::uint8_t>(c)]);
        next[product][pair] = static_cast<std::uint8_t>(after);
      }
    }
  }
};

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
  static const PairTables tables;
  const auto high = load_be<std::uint64_t>(symbol.bytes.data());
  const auto low = load_be<std::uint64_t>(symbol.bytes.data() + 8);
  // 26 characters hold 130 bits: the number and two zero bits before it.
  unsigned product = 36;
  for (unsigned shift = 120, i = 0; i < kNumberLength; shift -= 10, i += 2) {
    const std::uint64_t bits = shift >= 64   ? high >> (shift - 64)
                               : shift == 60 ? high << 4U | low >> 60U
                                             : low >> shift;
    const std::size_t pair = bits % kPairs;
    std::memcpy(to + i, tables.text[pair].data(), 2);
    product = tables.next[product][pair];
  }
  to[kNumberLength] = check_character(product);
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

Status check_time_zone(const std::string& time_zone) {
  const auto path = std::filesystem::path("/usr/share/zoneinfo") / time_zone;
  std::error_code ignored;
  if (time_zone.empty() || time_zone.front() == '/' || time_zone.find("..") != std::string::npos ||
      !std::filesystem::is_regular_file(path, ignored))
    return fail(ErrorCode::kUsage, "the time zone \"" + time_zone + "\" is not known", "time_zone",
                "use an IANA name such as Asia/Tokyo, and install tzdata");
  return {};
}

Status set_time_zone(const std::string& time_zone) {
  FUGO_TRY(check_time_zone(time_zone));
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
