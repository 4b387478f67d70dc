// Counters of PKCS#11 calls, and a function list that counts; private to this layer.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "hsm/ck_names.h"
#include "hsm/health.h"

namespace fugo::hsm {

// Every function that this layer calls. A call through Module::functions() of one that is not
// listed works, but is not counted: a test compares this list with the sources.
#define FUGO_CK_FUNCTIONS(X) \
  X(C_Initialize)            \
  X(C_Finalize)              \
  X(C_GetSlotList)           \
  X(C_GetTokenInfo)          \
  X(C_GetMechanismInfo)      \
  X(C_InitToken)             \
  X(C_InitPIN)               \
  X(C_OpenSession)           \
  X(C_CloseSession)          \
  X(C_GetSessionInfo)        \
  X(C_Logout)                \
  X(C_Login)                 \
  X(C_CreateObject)          \
  X(C_DestroyObject)         \
  X(C_GetAttributeValue)     \
  X(C_FindObjectsInit)       \
  X(C_FindObjects)           \
  X(C_FindObjectsFinal)      \
  X(C_EncryptInit)           \
  X(C_Encrypt)               \
  X(C_DecryptInit)           \
  X(C_Decrypt)               \
  X(C_SignInit)              \
  X(C_Sign)                  \
  X(C_GenerateKey)           \
  X(C_GenerateKeyPair)       \
  X(C_WrapKey)               \
  X(C_UnwrapKey)             \
  X(C_GenerateRandom)

// CkFunction numbers the functions of the list.
enum class CkFunction : std::uint8_t {
#define FUGO_X(name) name,
  FUGO_CK_FUNCTIONS(FUGO_X)
#undef FUGO_X
};
inline constexpr std::array kCkFunctionNames = {
#define FUGO_X(name) #name,
    FUGO_CK_FUNCTIONS(FUGO_X)
#undef FUGO_X
};

// CallMeter counts the calls of one module. Lock-free: a call costs two looks at the clock and a
// few additions.
class CallMeter {
 public:
  // begin notes a call as being in flight; end takes it out again and counts it.
  struct Flight {
    std::size_t place;
    std::int64_t start;
  };
  [[nodiscard]] Flight begin(CkFunction function);
  void end(CkFunction function, const Flight& flight, CK_RV rv);

  // add_to writes the counters and the oldest call in flight into `health`.
  void add_to(Health& health) const;

 private:
  static constexpr std::size_t kFunctions = kCkFunctionNames.size();
  // InFlight is one call under way; a place of its own cache line.
  struct alignas(64) InFlight {
    std::atomic<std::int64_t> start{0};  // 0: free
    std::atomic<CkFunction> function{};
  };

  std::array<InFlight, 64> in_flight_;  // calls beyond these are counted, but their age is not seen
  std::array<std::atomic<std::uint64_t>, kFunctions> calls_{};
  std::array<std::array<std::atomic<std::uint64_t>, kRvKinds>, kFunctions> errors_{};
  std::array<std::atomic<std::uint64_t>, kLatencyBounds.size() + 1> latency_{};
  std::atomic<std::int64_t> total_time_{0};  // nanoseconds
};

// MeteredFunctions is a module's function list, and the same list with every call counted.
struct MeteredFunctions {
  CK_FUNCTION_LIST* functions = nullptr;
  CallMeter* meter = nullptr;
};

// meter_functions gives `real` a counting list, for the life of the process. kInternal when this
// process has loaded too many modules.
[[nodiscard]] Result<MeteredFunctions> meter_functions(CK_FUNCTION_LIST* real);

}  // namespace fugo::hsm
