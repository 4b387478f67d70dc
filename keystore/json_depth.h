// How deep a document from outside nests. The library reads JSON without recursion, but writes,
// compares and copies values with it, and reads CBOR with it: an input of nothing but brackets
// would end the process for want of stack. And it turns any number into the integer that it is
// asked for, which is not defined for one that is too large.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/bytes.h"

namespace fugo::keystore {

inline constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

// DepthLimit looks at a document's brackets, and stops at the first that is too deep; and at the
// first number that is no integer, but within `free_below` brackets.
class DepthLimit : public nlohmann::json_sax<nlohmann::json> {
 public:
  DepthLimit(std::size_t most, std::size_t free_below) : most_(most), free_below_(free_below) {}
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return depth_ > free_below_; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return ++depth_ <= most_; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t) override { return ++depth_ <= most_; }
  bool end_array() override { return leave(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override {
    return false;
  }

 private:
  bool leave() {
    --depth_;
    return true;
  }
  const std::size_t most_, free_below_;
  std::size_t depth_ = 0;
};

// nests_at_most is false also for what is no document of that form, and for one with numbers that
// are no integers, but within `free_below` brackets.
[[nodiscard]] inline bool nests_at_most(std::string_view text, std::size_t most,
                                        std::size_t free_below = kNowhere) {
  DepthLimit limit(most, free_below);
  return nlohmann::json::sax_parse(text, &limit);
}
[[nodiscard]] inline bool cbor_nests_at_most(ByteView encoded, std::size_t most) {
  DepthLimit limit(most, most);
  return nlohmann::json::sax_parse(encoded.begin(), encoded.end(), &limit,
                                   nlohmann::json::input_format_t::cbor);
}

}  // namespace fugo::keystore
