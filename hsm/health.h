// How a token is doing: what status, metrics and alarms are made from.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace fugo::hsm {

// TokenState is what a Token can do at the moment.
enum class TokenState : std::uint8_t {
  kOk,          // logged in, its handles are fresh
  kRecovering,  // a thread is bringing it back
  kFailed,   // the last attempt to bring it back failed; calls fail at once until the next is due
  kLatched,  // the token refused the PIN: no login before the PIN file is written or touched
};
[[nodiscard]] const char* token_state_name(TokenState state);  // "ok", "recovering", ...

// kLatencyBounds are the upper bounds, in microseconds, of the buckets of calls; one bucket more
// holds what took longer than the last.
inline constexpr std::array<std::uint32_t, 14> kLatencyBounds = {
    10,    25,     50,     100,     250,       500,       1'000,
    2'500, 10'000, 50'000, 250'000, 1'000'000, 5'000'000, 30'000'000};

// FunctionCalls counts the calls of one PKCS#11 function.
struct FunctionCalls {
  std::string function;  // "C_Encrypt"
  std::uint64_t count = 0;
};

// FunctionErrors counts the answers other than CKR_OK of one PKCS#11 function. Not counted are
// CKR_USER_ALREADY_LOGGED_IN and CKR_CRYPTOKI_ALREADY_INITIALIZED, which are no faults.
struct FunctionErrors {
  std::string function;  // "C_Encrypt"
  std::string rv;        // "CKR_DEVICE_ERROR"; "other" for a vendor's value
  std::uint64_t count = 0;
};

// Health is a copy of the counters at one moment. What is counted a call is counted for the
// module: of all Tokens of this process that share it.
struct Health {
  TokenState state = TokenState::kOk;
  std::string last_error;                 // of the last recovery that failed; empty in state kOk
  std::chrono::milliseconds next_try{0};  // until calls are tried again; 0: at once
  std::uint64_t calls = 0;                // of all functions
  std::vector<FunctionCalls> functions;   // those that were called
  std::vector<FunctionErrors> errors;     // those that happened
  std::array<std::uint64_t, kLatencyBounds.size() + 1> latency{};  // calls by duration
  std::chrono::nanoseconds total_time{0};                          // of all calls
  std::chrono::milliseconds oldest_call{0};  // age of the oldest call in flight; 0: none
  std::string oldest_function;               // which one it is
  std::uint64_t wrong_answers = 0;           // calls that answered CKR_OK and a wrong result
  std::uint64_t sessions_dropped = 0;        // closed because an error had spoiled them
  std::uint64_t recoveries_tried = 0;
  std::uint64_t recoveries_succeeded = 0;
  std::uint64_t reinitialisations = 0;  // C_Finalize and C_Initialize
};

}  // namespace fugo::hsm
