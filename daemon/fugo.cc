// The command `fugo`.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string_view>

#include "base/secret.h"
#include "daemon/command/application.h"
#include "daemon/command/context.h"
#include "hsm/token.h"

namespace {

int run(int argc, const char* const* argv) {
  using namespace fugo;
  using namespace fugo::daemon;
  if (const auto hardened = harden_process(); !hardened) {
    report_failure(hardened.error(), "nothing was applied", false);
    return static_cast<int>(exit_code_of(hardened.error().code));
  }
  try {
    return run_application(argc, argv);
  } catch (const std::exception& error) {
    // Libraries may throw (no memory, above all); what was committed stays committed.
    const bool json = std::any_of(argv, argv + argc,
                                  [](std::string_view argument) { return argument == "--json"; });
    report_failure({ErrorCode::kInternal, error.what(), {}, "what was committed stays"}, {}, json);
    return static_cast<int>(ExitCode::kFailed);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int exit_code = run(argc, argv);
  // SoftHSM crashes when it is called from static destructors: be done with PKCS#11 here.
  fugo::hsm::finalize_all();
  return exit_code;
}
