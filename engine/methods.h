// The methods that turn one secret into a symbol: a table with permanent numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"
#include "hsm/key_spec.h"

namespace fugo::engine {

// MethodNumber is stored beside what the method made: never change or reuse one.
enum class MethodNumber : std::uint8_t {
  kCmacFfAes256 = 1,  // CMAC with feed-forward, see docs/spec/symbols.md
  kHmacSha256 = 2,    // FIPS 198-1, first 128 bits
  kXtsAes256 = 3,     // as in IEEE 1619; agency symbols only
  kTest16 = 240,      // cmac-ff-aes256 cut to 16 bits, for forced collisions; refused in production
};

// Method is one row of the table.
struct Method {
  MethodNumber number;
  std::string_view name;        // "cmac-ff-aes256"
  hsm::KeyAlgorithm algorithm;  // of its keys
  bool for_linkage;             // may make linkage and record symbols
  bool for_agency;              // may make agency symbols
  bool invertible;              // in the linking token
  bool test_only;
};

[[nodiscard]] std::span<const Method> methods();
[[nodiscard]] const Method* find_method(std::uint8_t number);
[[nodiscard]] const Method* find_method(std::string_view name);

// Constant labels, one block each, ASCII padded with zero bytes.
inline constexpr std::string_view kLinkageLabel = "linkage";
inline constexpr std::string_view kCheckLabel = "check";
inline constexpr std::string_view kRecordLabel = "record";
inline constexpr std::string_view kChainLabel = "chain";
inline constexpr std::string_view kChainCheckLabel = "chain check";
inline constexpr std::string_view kRequestLabel = "request";

}  // namespace fugo::engine
