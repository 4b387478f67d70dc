#include "daemon/command/names.h"

#include <array>
#include <cstddef>

namespace fugo::daemon {
namespace {

// word looks a stored number up in a table whose first row is for numbers that are none.
template <typename Enum, std::size_t size>
const char* word(const std::array<const char*, size>& words, Enum value) {
  const auto at = static_cast<std::size_t>(value);
  return words[at < size ? at : 0];
}

}  // namespace

const char* state_name(keystore::AgencyState state) {
  constexpr std::array<const char*, 4> kWords = {"unknown", "active", "suspended", "closed"};
  return word(kWords, state);
}

const char* state_name(keystore::KeyState state) {
  constexpr std::array<const char*, 8> kWords = {"unknown", "pending",   "active", "accepting",
                                                 "retired", "destroyed", "chain",  "making"};
  return word(kWords, state);
}

const char* state_name(keystore::JobState state) {
  constexpr std::array<const char*, 8> kWords = {"unknown", "running", "answering", "answered",
                                                 "done",    "refused", "held",      "cancelled"};
  return word(kWords, state);
}

const char* state_name(keystore::RunState state) {
  constexpr std::array<const char*, 8> kWords = {"unknown", "planning",  "planned",  "running",
                                                 "ready",   "committed", "finished", "aborted"};
  return word(kWords, state);
}

const char* kind_name(keystore::JobKind kind) {
  constexpr std::array<const char*, 5> kWords = {"unknown", "issue", "change", "delete", "merge"};
  return word(kWords, kind);
}

const char* error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kRefused:
      return "refused";
    case ErrorCode::kIo:
      return "io";
    case ErrorCode::kUsage:
      return "usage";
    case ErrorCode::kHsm:
      return "hsm";
    case ErrorCode::kDamaged:
      return "damaged";
    case ErrorCode::kStale:
      return "stale";
    case ErrorCode::kInternal:
      break;
  }
  return "internal";
}

}  // namespace fugo::daemon
