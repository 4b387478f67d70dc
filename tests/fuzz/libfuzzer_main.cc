// libFuzzer's way in: FUGO_FUZZ_TARGET names the target.
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto* const target = [] {
    const char* name = std::getenv("FUGO_FUZZ_TARGET");
    const auto* found = name == nullptr ? nullptr : fugo::fuzz::find_target(name);
    if (found != nullptr) return found;
    std::fprintf(stderr, "FUGO_FUZZ_TARGET must be one of:");
    for (const auto& each : fugo::fuzz::targets()) std::fprintf(stderr, " %s", each.name);
    std::fprintf(stderr, "\n");
    std::exit(2);
  }();
  target->run({data, size});
  return 0;
}
