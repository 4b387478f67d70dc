#include "daemon/files/encoding.h"

#include <fmt/format.h>
#include <iconv.h>
#include <uchardet/uchardet.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>

namespace fugo::daemon {
namespace {

// Sequence is one row of RFC 3629's table of well-formed sequences: first byte, second byte, and
// the number of bytes; third and fourth are 80 to BF.
struct Sequence {
  std::uint8_t first_low, first_high, second_low, second_high, length;
};
constexpr std::array<Sequence, 8> kSequences = {{
    {0xC2, 0xDF, 0x80, 0xBF, 2},
    {0xE0, 0xE0, 0xA0, 0xBF, 3},
    {0xE1, 0xEC, 0x80, 0xBF, 3},
    {0xED, 0xED, 0x80, 0x9F, 3},
    {0xEE, 0xEF, 0x80, 0xBF, 3},
    {0xF0, 0xF0, 0x90, 0xBF, 4},
    {0xF1, 0xF3, 0x80, 0xBF, 4},
    {0xF4, 0xF4, 0x80, 0x8F, 4},
}};

// sequence_length is the length of the well-formed sequence at `at`, or 0.
std::size_t sequence_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[at + i]); };
  if (byte(0) < 0x80) return 1;
  for (const auto& row : kSequences) {
    if (byte(0) < row.first_low || byte(0) > row.first_high) continue;
    if (text.size() - at < row.length) return 0;
    if (byte(1) < row.second_low || byte(1) > row.second_high) return 0;
    for (std::size_t i = 2; i < row.length; ++i)
      if (byte(i) < 0x80 || byte(i) > 0xBF) return 0;
    return row.length;
  }
  return 0;
}

// quoted is a path for the shell.
std::string quoted(const std::filesystem::path& path) {
  std::string text = "'";
  for (const char c : path.string()) {
    if (c == '\'')
      text += "'\\''";
    else
      text += c;
  }
  return text + "'";
}

std::string iconv_hint(const std::filesystem::path& path, const std::string& encoding) {
  auto converted = path;
  converted += ".utf8";
  return fmt::format("convert it: iconv -f {} -t UTF-8 {} > {}",
                     encoding.empty() ? "ENCODING" : encoding, quoted(path), quoted(converted));
}

// valid_in tells whether iconv reads a text, its last character perhaps cut off, in an encoding.
bool valid_in(const char* encoding, std::string_view text) {
  const auto converter = ::iconv_open("UTF-8", encoding);
  if (converter == reinterpret_cast<iconv_t>(-1)) return false;
  std::string from(text);
  std::array<char, 4096> out{};
  char* in = from.data();
  std::size_t left = from.size();
  bool valid = true;
  while (valid && left > 0) {
    char* to = out.data();
    std::size_t room = out.size();
    const bool done = ::iconv(converter, &in, &left, &to, &room) != static_cast<std::size_t>(-1);
    if (!done && errno == EINVAL) break;
    valid = done || errno == E2BIG;
  }
  ::iconv_close(converter);
  return valid;
}

// has_c1_controls finds bytes that EUC-JP's iconv lets pass as control characters, and that nobody
// writes; 8E and 8F begin characters.
bool has_c1_controls(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<std::uint8_t>(c);
    return byte >= 0x80 && byte <= 0xA0 && byte != 0x8E && byte != 0x8F;
  });
}

// japanese_or decides between the two encodings of old Japanese systems where a text is too short
// for uchardet, whose `guess` stays when it is neither; empty when it could well be both.
std::string japanese_or(const std::string& guess, std::string_view text) {
  const bool windows = valid_in("CP932", text);  // Shift_JIS, and what vendors added to it
  const bool euc_jp = valid_in("EUC-JP", text) && !has_c1_controls(text);
  if (windows && euc_jp) return {};
  if (windows) return valid_in("SHIFT_JIS", text) ? "SHIFT_JIS" : "CP932";
  return euc_jp ? "EUC-JP" : guess;
}

bool is_western(std::string_view name) {
  constexpr std::array<std::string_view, 5> kPrefixes = {"WINDOWS-", "ISO-8859-", "MAC", "IBM",
                                                         "KOI8"};
  return name.empty() || std::any_of(kPrefixes.begin(), kPrefixes.end(),
                                     [&](auto prefix) { return name.starts_with(prefix); });
}

struct Mark {
  std::string_view bytes, encoding;
};
using namespace std::string_view_literals;
// Longer ones first. The second half has no mark, but is what the '#' of a first line looks like.
constexpr std::array<Mark, 8> kMarks = {{
    {"\xFF\xFE\0\0"sv, "UTF-32LE"},
    {"\0\0\xFE\xFF"sv, "UTF-32BE"},
    {"\xFF\xFE"sv, "UTF-16LE"},
    {"\xFE\xFF"sv, "UTF-16BE"},
    {"#\0\0\0"sv, "UTF-32LE"},
    {"\0\0\0#"sv, "UTF-32BE"},
    {"#\0"sv, "UTF-16LE"},
    {"\0#"sv, "UTF-16BE"},
}};

}  // namespace

std::size_t first_bad_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = sequence_length(text, at);
    if (length == 0) return at;
    at += length;
  }
  return std::string_view::npos;
}

std::string guess_encoding(std::string_view text) {
  const std::unique_ptr<struct uchardet, decltype(&uchardet_delete)> detector(uchardet_new(),
                                                                              uchardet_delete);
  if (detector == nullptr || uchardet_handle_data(detector.get(), text.data(), text.size()) != 0)
    return {};
  uchardet_data_end(detector.get());
  std::string name = uchardet_get_charset(detector.get());
  if (name == "UTF-8" || name == "ASCII") return {};
  // A few characters of Japanese look like any Western encoding, in which every byte is something.
  if (is_western(name)) return japanese_or(name, text);
  return name;
}

Status check_start(std::string_view file, const std::filesystem::path& path) {
  const std::string where = path.string() + ":1";
  if (file.starts_with("\xEF\xBB\xBF"))
    return fail(ErrorCode::kRefused, "the file begins with a byte order mark (EF BB BF)", where,
                fmt::format("remove it: tail -c +4 {0} > {0}.utf8", quoted(path)));
  for (const auto& mark : kMarks)
    if (file.starts_with(mark.bytes))
      return fail(ErrorCode::kRefused, fmt::format("the file is {}, not UTF-8", mark.encoding),
                  where, iconv_hint(path, std::string(mark.encoding)));
  return {};
}

tl::unexpected<Error> refuse_encoding(const std::filesystem::path& path, std::uint64_t line,
                                      std::string_view line_text, std::size_t offset) {
  const std::string encoding = guess_encoding(line_text);
  std::string what = fmt::format("the byte {:02X} in column {} is not UTF-8",
                                 static_cast<std::uint8_t>(line_text[offset]), offset + 1);
  if (!encoding.empty()) what += "; the file looks like " + encoding;
  return fail(ErrorCode::kRefused, std::move(what), fmt::format("{}:{}", path.string(), line),
              iconv_hint(path, encoding));
}

}  // namespace fugo::daemon
