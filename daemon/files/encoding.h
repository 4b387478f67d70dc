// Is it UTF-8? And if not, what does it look like?
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fugo::daemon {

// first_bad_utf8 is the offset of the first byte that cannot be part of UTF-8 (RFC 3629: no
// overlong forms, no surrogates, nothing beyond U+10FFFF) at its place, or npos. A sequence that
// the text's end cuts off is bad where it begins.
[[nodiscard]] std::size_t first_bad_utf8(std::string_view text);

// guess_encoding names the encoding that a text seems to have, as iconv(1) calls it; empty when it
// cannot be told.
[[nodiscard]] std::string guess_encoding(std::string_view text);

// check_start finds byte order marks and UTF-16 or UTF-32 at the start of a file: kRefused.
[[nodiscard]] Status check_start(std::string_view file, const std::filesystem::path& path);

// refuse_encoding is the refusal for a byte that is not UTF-8, with the iconv command. `line_text`
// begins with the line of that byte, and goes on as far as there is text to guess from; `offset`
// is the byte's place in it. Columns are counted in bytes, from 1.
[[nodiscard]] tl::unexpected<Error> refuse_encoding(const std::filesystem::path& path,
                                                    std::uint64_t line, std::string_view line_text,
                                                    std::size_t offset);

}  // namespace fugo::daemon
