// A PKCS#11 library: loaded once per process, initialised for one SoftHSM configuration at a time.
#pragma once

#include <filesystem>
#include <memory>

#include "base/result.h"
#include "hsm/call_meter.h"
#include "hsm/ck_names.h"

namespace fugo::hsm {

// Module is a loaded and initialised PKCS#11 library. Holders share it; while one is alive the
// library is not finalized. Thread-safe.
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

 private:
  explicit Module(const MeteredFunctions& metered) : metered_(metered) {}
  const MeteredFunctions metered_;
};

}  // namespace fugo::hsm
