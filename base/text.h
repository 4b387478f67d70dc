// Text codecs: hexadecimal, the text form of a symbol, times.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace fugo {

// hex writes two lower-case digits a byte.
[[nodiscard]] std::string hex(ByteView bytes);

// unhex reads digits of either case; nothing when the length is odd or a character is none.
[[nodiscard]] std::optional<std::string> unhex(std::string_view digits);

// kSymbolTextLength: 26 characters of Crockford base 32 and a check character.
inline constexpr std::size_t kSymbolTextLength = 27;

// encode_symbol writes the text form of a symbol into exactly kSymbolTextLength characters:
// the 128-bit number in Crockford's base 32 (first character at most '7'), then the check
// character of ISO/IEC 7064 MOD 37,36. Upper case only.
void encode_symbol(const Block& symbol, char* to);
[[nodiscard]] std::string encode_symbol(const Block& symbol);

// decode_symbol reads what encode_symbol wrote; nothing for a wrong length, a character that is
// not of the alphabet (lower case and look-alikes included), a number beyond 128 bits, or a
// check character that does not agree.
[[nodiscard]] std::optional<Block> decode_symbol(std::string_view text);

// check_time_zone: kUsage when the system does not know the IANA time zone. Changes nothing.
[[nodiscard]] Status check_time_zone(const std::string& time_zone);

// set_time_zone chooses the IANA time zone ("Asia/Tokyo") of format_time and local_day for the
// whole process; call it before threads start. kUsage when the system does not know the zone.
[[nodiscard]] Status set_time_zone(const std::string& time_zone);

// format_time writes seconds since 1970 as RFC 3339 with offset: "2026-11-20T09:00:00+09:00".
[[nodiscard]] std::string format_time(std::int64_t unix_seconds);

// local_day writes the calendar day of a time in the process's zone: "2026-11-20".
[[nodiscard]] std::string local_day(std::int64_t unix_seconds);

// unix_now is the system clock in seconds since 1970.
[[nodiscard]] std::int64_t unix_now();

}  // namespace fugo
