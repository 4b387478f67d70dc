#include "daemon/utf8.h"

#include <cstddef>
#include <nlohmann/json.hpp>

#include "daemon/files/encoding.h"

namespace fugo::daemon {
namespace {

bool starts_deceiving(std::string_view at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(at[i]); };
  if (byte(0) < 0x20 || byte(0) == 0x7F) return true;  // C0, DEL
  if (byte(0) == 0xC2) return byte(1) < 0xA0;          // C1
  if (byte(0) != 0xE2) return false;
  if (byte(1) == 0x80) return byte(2) >= 0xAA && byte(2) <= 0xAE;  // U+202A to U+202E
  return byte(1) == 0x81 && byte(2) >= 0xA6 && byte(2) <= 0xA9;    // U+2066 to U+2069
}

}  // namespace

bool is_presentable(std::string_view text) {
  if (first_bad_utf8(text) != std::string_view::npos) return false;
  for (std::size_t at = 0; at < text.size(); ++at)
    if (starts_deceiving(text.substr(at))) return false;  // continuation bytes begin nothing
  return true;
}

std::string presentable(const std::string& text) {
  using Json = nlohmann::json;
  if (is_presentable(text)) return text;
  return Json(text).dump(-1, ' ', true, Json::error_handler_t::replace);
}

}  // namespace fugo::daemon
