// Cursor takes an input apart, for targets that make several values of it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace fugo::fuzz {

// At the end of the input everything is zero or empty.
class Cursor {
 public:
  explicit Cursor(ByteView rest) : rest_(rest) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] std::uint8_t byte() { return static_cast<std::uint8_t>(number(1)); }
  [[nodiscard]] std::uint64_t number(std::size_t bytes) {
    std::uint64_t value = 0;
    for (const std::uint8_t each : take(bytes)) value = value << 8U | each;
    return value;
  }
  [[nodiscard]] ByteView take(std::size_t bytes) {
    const auto taken = rest_.first(std::min(bytes, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  [[nodiscard]] std::string text(std::size_t bytes) {
    const auto taken = take(bytes);
    return {taken.begin(), taken.end()};
  }
  // line is up to the next `end`, which is taken as well; all that is left when there is none.
  [[nodiscard]] std::string line(std::uint8_t end = '\n') {
    const auto at = std::find(rest_.begin(), rest_.end(), end);
    auto taken = text(static_cast<std::size_t>(at - rest_.begin()));
    (void)take(1);
    return taken;
  }
  [[nodiscard]] ByteView rest() { return take(rest_.size()); }

 private:
  ByteView rest_;
};

}  // namespace fugo::fuzz
