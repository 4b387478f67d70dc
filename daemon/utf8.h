// Whether a text is fit to be shown.
#pragma once

#include <string>
#include <string_view>

namespace fugo::daemon {

// is_presentable is true for UTF-8 without control characters (C0, DEL, C1) and without the
// characters that reorder text (U+202A to U+202E, U+2066 to U+2069): it cannot deceive whoever
// reads it on a terminal.
[[nodiscard]] bool is_presentable(std::string_view text);

// presentable is a text of others for a terminal: as it is or, where it must not be shown so, as a
// JSON string in ASCII.
[[nodiscard]] std::string presentable(const std::string& text);

}  // namespace fugo::daemon
