// The script of the fault module: see README.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "hsm/ck_names.h"

namespace fugo::hsm::testing {

enum class EffectKind : std::uint8_t {
  kRv,
  kLost,
  kHang,
  kDelay,
  kShort,
  kStale,
  kWrong,
  kZeros,
  kRepeat,
  kNone,
  kTwo,
  kForeign,
  kRenumber,
};

enum class WrongPlace : std::uint8_t { kFirst, kMiddle, kLast };

// Effect is what a rule does to a call.
struct Effect {
  EffectKind kind = EffectKind::kRv;
  CK_RV rv = CKR_OK;         // of kRv and kLost
  std::uint64_t number = 0;  // milliseconds or bytes; of kHang 0: until the script changes
  WrongPlace place = WrongPlace::kFirst;
  std::string text;  // as written, for the log
};

// Rule is one line of the script.
struct Rule {
  std::string function;  // "*": every one
  std::uint64_t after = 0;
  std::uint64_t times = UINT64_MAX;
  unsigned chance = 100;
  Effect effect;
  std::uint64_t seen = 0;
};

// Script is what the file says. Not thread-safe.
class Script {
 public:
  // parse takes the text; a mistake is kept in error().
  static Script parse(const std::string& text);

  [[nodiscard]] bool gone() const { return gone_; }
  [[nodiscard]] const std::string& error() const { return error_; }
  // next counts a call of `function` and tells what is to happen to it.
  [[nodiscard]] std::optional<Effect> next(const std::string& function);

 private:
  std::vector<Rule> rules_;
  bool gone_ = false;
  std::string error_;
  std::mt19937 random_{1};
};

// rv_by_name is the return value called `name` in PKCS#11 2.40.
[[nodiscard]] std::optional<CK_RV> rv_by_name(const std::string& name);

}  // namespace fugo::hsm::testing
