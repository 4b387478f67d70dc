// Rows as CBOR maps: one list of fields for each row serves writing and strict reading.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/bytes.h"

namespace fugo::keystore {

inline constexpr std::int64_t kLatestTime = 253402300799;  // the end of the year 9999

// FieldWriter and FieldReader have the same functions, so that a template `fields(codec, row)`
// describes a row once. Both check ranges: what could not be read is not written. A reader is
// good() only when every field was there, of its type and range, and no other field was.
class FieldWriter {
 public:
  template <typename Int>
  void number(const char* name, const Int& value, std::uint64_t low, std::uint64_t high) {
    std::uint64_t wide = 0;
    if constexpr (std::is_enum_v<Int>)
      wide = static_cast<std::uint64_t>(value);
    else
      wide = value;
    check(name, wide >= low && wide <= high);
    make_even(wide, high);
    map_[name] = wide;
  }
  void time(const char* name, const std::int64_t& value) {
    check(name, value >= 0 && value <= kLatestTime);
    make_even(static_cast<std::uint64_t>(value), kLatestTime);
    map_[name] = value;
  }
  void flag(const char* name, const bool& value) { map_[name] = value; }
  void text(const char* name, const std::string& value, std::size_t longest) {
    check(name, value.size() <= longest);
    make_even(value.size(), longest);
    map_[name] = value;
  }
  template <std::size_t N>
  void bytes(const char* name, const std::array<std::uint8_t, N>& value) {
    map_[name] = nlohmann::json::binary({value.begin(), value.end()});
  }
  void blob(const char* name, const std::vector<std::uint8_t>& value, std::size_t longest) {
    check(name, value.size() <= longest);
    make_even(value.size(), longest);
    map_[name] = nlohmann::json::binary(value);
  }
  // list writes each element with fields(codec, element).
  template <typename T>
  void list(const char* name, const std::vector<T>& values, std::size_t most) {
    check(name, values.size() <= most);
    auto array = nlohmann::json::array();
    for (const T& value : values) {
      FieldWriter inner;
      fields(inner, value);
      check(inner.bad_.empty() ? name : inner.bad_.c_str(), inner.good());
      short_of_ += inner.short_of_;
      array.push_back(std::move(inner.map_));
    }
    make_even(values.size(), most);
    map_[name] = std::move(array);
  }
  void numbers(const char* name, const std::vector<std::uint64_t>& values, std::size_t most) {
    check(name, values.size() <= most);
    make_even(values.size(), most);
    for (const std::uint64_t value : values)
      make_even(value, std::numeric_limits<std::uint64_t>::max());
    map_[name] = values;
  }

  [[nodiscard]] bool good() const { return bad_.empty(); }
  // bad names the first field that is out of range.
  [[nodiscard]] const std::string& bad() const { return bad_; }
  [[nodiscard]] std::vector<std::uint8_t> encoded() const { return nlohmann::json::to_cbor(map_); }
  // short_of is by how many bytes encoded() is shorter than with the largest of its numbers: a row
  // that is made longer by so much has a length that tells nothing of them.
  [[nodiscard]] std::size_t short_of() const { return short_of_; }

 private:
  // The size of a number's head in CBOR, RFC 8949 section 3.
  static std::size_t cbor_size(std::uint64_t number) {
    if (number < 24) return 1;
    if (number <= 0xFF) return 2;
    if (number <= 0xFFFF) return 3;
    return number <= 0xFFFFFFFF ? 5 : 9;
  }
  void make_even(std::uint64_t number, std::uint64_t most) {
    if (number <= most) short_of_ += cbor_size(most) - cbor_size(number);
  }
  void check(const char* name, bool in_range) {
    if (!in_range && bad_.empty()) bad_ = name;
  }
  nlohmann::json map_ = nlohmann::json::object();
  std::string bad_;
  std::size_t short_of_ = 0;
};

class FieldReader {
 public:
  explicit FieldReader(ByteView encoded) : map_(parse(encoded)) {
    if (!map_.is_object()) bad_ = "(map)";
  }

  template <typename Int>
  void number(const char* name, Int& value, std::uint64_t low, std::uint64_t high) {
    const auto* found = find(name);
    if (found == nullptr || !found->is_number_unsigned()) return check(name, false);
    const auto wide = *found->get_ptr<const std::uint64_t*>();
    if (wide < low || wide > high) return check(name, false);
    value = static_cast<Int>(wide);
  }
  void time(const char* name, std::int64_t& value) {
    std::uint64_t wide = 0;
    number(name, wide, 0, static_cast<std::uint64_t>(kLatestTime));
    value = static_cast<std::int64_t>(wide);
  }
  void flag(const char* name, bool& value) {
    const auto* found = find(name);
    if (found == nullptr || !found->is_boolean()) return check(name, false);
    value = *found->get_ptr<const bool*>();
  }
  void text(const char* name, std::string& value, std::size_t longest) {
    const auto* found = find(name);
    if (found == nullptr || !found->is_string()) return check(name, false);
    value = *found->get_ptr<const std::string*>();
    check(name, value.size() <= longest);
  }
  template <std::size_t N>
  void bytes(const char* name, std::array<std::uint8_t, N>& value) {
    const auto* found = find(name);
    if (found == nullptr || !found->is_binary()) return check(name, false);
    const auto& binary = *found->get_ptr<const nlohmann::json::binary_t*>();
    if (binary.size() != N || binary.has_subtype()) return check(name, false);
    std::copy(binary.begin(), binary.end(), value.begin());
  }
  void blob(const char* name, std::vector<std::uint8_t>& value, std::size_t longest) {
    const auto* found = find(name);
    if (found == nullptr || !found->is_binary()) return check(name, false);
    value = *found->get_ptr<const nlohmann::json::binary_t*>();
    check(name, value.size() <= longest);
  }
  template <typename T>
  void list(const char* name, std::vector<T>& values, std::size_t most) {
    const auto* found = find(name);
    if (found == nullptr || !found->is_array() || found->size() > most) return check(name, false);
    values.clear();
    for (const auto& element : *found) {
      FieldReader inner(element);
      fields(inner, values.emplace_back());
      if (!inner.good()) return check(name, false);
    }
  }
  void numbers(const char* name, std::vector<std::uint64_t>& values, std::size_t most) {
    const auto* found = find(name);
    if (found == nullptr || !found->is_array() || found->size() > most) return check(name, false);
    values.clear();
    for (const auto& element : *found) {
      if (!element.is_number_unsigned()) return check(name, false);
      values.push_back(*element.get_ptr<const std::uint64_t*>());
    }
  }

  [[nodiscard]] bool good() const { return bad_.empty() && seen_ == map_.size(); }
  [[nodiscard]] std::string bad() const { return bad_.empty() ? "(unknown field)" : bad_; }

 private:
  // Of a map that says it has more entries than there can be, from_cbor throws all the same.
  static nlohmann::json parse(ByteView encoded) {
    try {
      return nlohmann::json::from_cbor(encoded.begin(), encoded.end(), true, false);
    } catch (const nlohmann::json::exception&) {
      return nlohmann::json::value_t::discarded;
    }
  }
  explicit FieldReader(nlohmann::json map) : map_(std::move(map)) {
    if (!map_.is_object()) bad_ = "(map)";
  }
  const nlohmann::json* find(const char* name) {
    if (!map_.is_object()) return nullptr;
    const auto found = map_.find(name);
    if (found == map_.end()) return nullptr;
    ++seen_;
    return &*found;
  }
  void check(const char* name, bool fits) {
    if (!fits && bad_.empty()) bad_ = name;
  }
  nlohmann::json map_;
  std::size_t seen_ = 0;
  std::string bad_;
};

}  // namespace fugo::keystore
