#include "daemon/seeing/shown_text.h"

#include <algorithm>

#include "daemon/files/row.h"

namespace fugo::daemon {

std::string shown_text(const Error& error) {
  std::string text = hide_resident_codes(error.message());
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }, ' ');
  return text;
}

}  // namespace fugo::daemon
