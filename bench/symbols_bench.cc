// Deriving symbols: by the token's keys as the engine does, and in software without a token.
#include <fmt/format.h>
#include <openssl/evp.h>

#include <memory>

#include "base/parallel.h"
#include "bench/bench_site.h"
#include "bench/permutation.h"

namespace fugo::bench {
namespace {

// Derived holds inputs and outputs of one iteration.
struct Derived {
  SecretArray<std::uint64_t> codes = must(SecretArray<std::uint64_t>::create(kResidents));
  SecretArray<Block> linkage = must(SecretArray<Block>::create(kResidents));
  SecretArray<keystore::CheckValue> checks =
      must(SecretArray<keystore::CheckValue>::create(kResidents));
  SecretArray<Block> symbols = must(SecretArray<Block>::create(kResidents));
  std::vector<keystore::AgencyNumber> agencies;
};

Derived make_inputs(const engine::Site& site) {
  Derived derived;
  const auto codes = resident_codes();
  std::copy(codes.begin(), codes.end(), derived.codes.data());
  for (std::size_t i = 0; i < kResidents; ++i)
    derived.agencies.push_back(site.agencies()[mix(i) % site.agencies().size()].number);
  return derived;
}

// Resident code -> linkage symbol and check value -> agency symbol, agencies in mixed order.
void derive(benchmark::State& state, BenchSite& bench, std::size_t threads) {
  const auto symbols = bench.symbols(threads);
  const auto& generation = bench.site().active_generation();
  auto derived = make_inputs(bench.site());
  run_timed(state, kResidents, [&] {
    must(symbols->linkage_and_check(generation, derived.codes.span(), derived.linkage.span(),
                                    derived.checks.span()));
    must(symbols->agency(generation.number, derived.agencies, derived.linkage.span(),
                         derived.symbols.span()));
  });
  state.counters["blocks_per_second"] =
      benchmark::Counter(static_cast<double>(kResidents * kBlocksOfResident),
                         benchmark::Counter::kIsIterationInvariantRate);
}

struct ContextDeleter {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

// cmac-ff-aes256 in software: one block a symbol, F(X) = E(mask ^ X) ^ X.
void software(benchmark::State& state, std::size_t threads) {
  constexpr std::size_t kInCall = 4096;  // 64 KiB
  constexpr std::size_t kSymbols = kResidents * kBlocksOfResident;
  const std::array<std::uint8_t, 32> key{1, 2, 3};
  const Block mask{{4, 5, 6}};
  std::vector<Block> inputs(kSymbols), outputs(kSymbols);
  for (std::size_t i = 0; i < kSymbols; ++i)
    store_be(inputs[i].bytes.data(), mix(static_cast<std::uint64_t>(i)));
  const auto work = [&](std::size_t first, std::size_t last, std::size_t) -> Status {
    const std::unique_ptr<EVP_CIPHER_CTX, ContextDeleter> context(EVP_CIPHER_CTX_new());
    EVP_EncryptInit_ex(context.get(), EVP_aes_256_ecb(), nullptr, key.data(), nullptr);
    EVP_CIPHER_CTX_set_padding(context.get(), 0);
    for (std::size_t i = first; i < last; ++i) outputs[i] = inputs[i] ^ mask;
    auto* const data = outputs[first].bytes.data();
    int size = 0;
    EVP_EncryptUpdate(context.get(), data, &size, data,
                      static_cast<int>((last - first) * sizeof(Block)));
    for (std::size_t i = first; i < last; ++i) outputs[i] = outputs[i] ^ inputs[i];
    return {};
  };
  run_timed(state, kSymbols, [&] { must(parallel_ranges(kSymbols, kInCall, threads, work)); });
}

}  // namespace

void register_symbol_benchmarks(BenchSite& site) {
  for (const std::size_t threads : {std::size_t{1}, std::size_t{2}}) {
    benchmark::RegisterBenchmark(
        fmt::format("symbols/derive/threads:{}", threads).c_str(),
        [&site, threads](benchmark::State& s) { derive(s, site, threads); })
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark(fmt::format("openssl/cmac-ff/threads:{}", threads).c_str(),
                                 [threads](benchmark::State& s) { software(s, threads); })
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  }
}

}  // namespace fugo::bench
