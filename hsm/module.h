// A PKCS#11 library: loaded once per process, initialised for one SoftHSM configuration at a time.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "base/result.h"
#include "hsm/call_gate.h"
#include "hsm/call_meter.h"
#include "hsm/ck_names.h"

namespace fugo::hsm {

// Module is a loaded and initialised PKCS#11 library. Holders share it; while one is alive the
// library is finalized by reinitialise() alone. Thread-safe.
class Module {
 public:
  // open loads `library` (once per process: PKCS#11 2.40 section 5.4 allows one C_Initialize) with
  // CKF_OS_LOCKING_OK. `softhsm_conf`, when not empty, becomes SOFTHSM2_CONF first; if the library
  // is initialised for another one it is finalized and initialised again, which is refused with
  // kUsage while a Module of it is held. Sets an environment variable: not while other threads
  // call getenv. kHsm when the library is missing or is none.
  [[nodiscard]] static Result<std::shared_ptr<Module>> open(
      const std::filesystem::path& library, const std::filesystem::path& softhsm_conf);

  // functions is the library's list; every call through it is counted.
  [[nodiscard]] CK_FUNCTION_LIST* functions() const { return metered_.functions; }
  [[nodiscard]] const CallMeter& meter() const { return *metered_.meter; }

  // enter is what a Token's calls begin with: while a Pass is held, the library is not initialised
  // anew. Waits while that is under way, kHsm after `limit`.
  [[nodiscard]] Result<CallGate::Pass> enter(std::chrono::milliseconds limit) {
    return gate_->enter(limit);
  }
  // epoch counts how often the library was initialised anew. Sessions and handles of an older
  // epoch are void, and their numbers may name other things now. It does not change while a Pass
  // is held.
  [[nodiscard]] std::uint64_t epoch() const { return epoch_.load(); }

  // is_foreign tells whether other code of this process had initialised the library: what it has
  // open is not ours to end.
  [[nodiscard]] bool is_foreign() const;

  // reinitialise calls C_Finalize and C_Initialize, after all Passes have been given back; it does
  // nothing when the epoch is not `seen` any more. kHsm when a call does not come back within
  // `limit`, when the library does not come up, or when it is_foreign(). Sessions outside of Tokens
  // must not be in use.
  [[nodiscard]] Status reinitialise(std::uint64_t seen, std::chrono::milliseconds limit);

 private:
  Module(std::string library, const MeteredFunctions& metered)
      : library_(std::move(library)), metered_(metered) {}

  const std::string library_;
  const MeteredFunctions metered_;
  const std::shared_ptr<CallGate> gate_ = std::make_shared<CallGate>();
  std::atomic<std::uint64_t> epoch_{0};
};

}  // namespace fugo::hsm
