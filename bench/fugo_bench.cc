// fugo_bench: benchmarks of the parts. Takes Google Benchmark's options, and FUGO_CONFIG for the
// configuration of a site that `fugo init` made with agencies registered.
#include <fmt/format.h>
#include <lmdb.h>
#include <openssl/crypto.h>

#include <cstdio>
#include <cstdlib>

#include "bench/bench_site.h"
#include "hsm/ck_names.h"

namespace {

// Figures of such builds would mislead.
#if !defined(NDEBUG)
constexpr const char* kNotMeasurable = "assertions are on: build with the preset release";
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr const char* kNotMeasurable = "a sanitizer is on: build with the preset release";
#elif !defined(__OPTIMIZE__)
constexpr const char* kNotMeasurable = "not optimised: build with the preset release";
#else
constexpr const char* kNotMeasurable = nullptr;
#endif

void describe(fugo::bench::BenchSite& site) {
  CK_INFO info{};
  {
    const auto module =
        fugo::bench::must(fugo::hsm::Module::open(site.token().module, site.token().softhsm_conf));
    module->functions()->C_GetInfo(&info);
  }
  const std::string module_version =
      std::to_string(info.libraryVersion.major) + "." + std::to_string(info.libraryVersion.minor);
  benchmark::AddCustomContext("token", site.site().token().description());
  benchmark::AddCustomContext("pkcs11_library", module_version);
  benchmark::AddCustomContext("openssl", OpenSSL_version(OPENSSL_VERSION));
  benchmark::AddCustomContext("lmdb", mdb_version(nullptr, nullptr, nullptr));
  benchmark::AddCustomContext("compiler", __VERSION__);
  benchmark::AddCustomContext("flags", FUGO_BUILD_FLAGS);
}

}  // namespace

int main(int argc, char** argv) {
  if (kNotMeasurable != nullptr) {
    fmt::print(stderr, "fugo_bench: {}\n", kNotMeasurable);
    return 2;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  const char* const configuration = std::getenv("FUGO_CONFIG");
  if (configuration == nullptr) {
    fmt::print(stderr, "fugo_bench: FUGO_CONFIG names no configuration\n");
    return 2;
  }
  {
    auto site = fugo::bench::BenchSite::open(configuration);
    describe(site);
    fugo::bench::register_token_benchmarks(site);
    fugo::bench::register_symbol_benchmarks(site);
    fugo::bench::register_ledger_benchmarks();
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
  }
  fugo::hsm::finalize_all();
  return EXIT_SUCCESS;
}
