#include "engine/methods.h"

#include <algorithm>
#include <array>

namespace fugo::engine {
namespace {

constexpr auto kAes = hsm::KeyAlgorithm::kAes256;
constexpr auto kHmac = hsm::KeyAlgorithm::kHmacSha256;

// number, name, algorithm | for_linkage, for_agency, invertible, test_only
constexpr std::array<Method, 4> kMethods{{
    {MethodNumber::kCmacFfAes256, "cmac-ff-aes256", kAes, true, true, false, false},
    {MethodNumber::kHmacSha256, "hmac-sha256", kHmac, true, true, false, false},
    {MethodNumber::kXtsAes256, "xts-aes256", kAes, false, true, true, false},
    {MethodNumber::kTest16, "test-16", kAes, true, false, false, true},
}};

template <typename Predicate>
const Method* find_if(Predicate predicate) {
  const auto* const found = std::find_if(kMethods.begin(), kMethods.end(), predicate);
  return found == kMethods.end() ? nullptr : found;
}

}  // namespace

std::span<const Method> methods() { return kMethods; }

const Method* find_method(std::uint8_t number) {
  return find_if(
      [number](const Method& m) { return static_cast<std::uint8_t>(m.number) == number; });
}

const Method* find_method(std::string_view name) {
  return find_if([name](const Method& m) { return m.name == name; });
}

}  // namespace fugo::engine
