// The token by itself: what everything that is derived in it is measured against.
#include <fmt/format.h>

#include <memory>
#include <vector>

#include "base/parallel.h"
#include "bench/bench_site.h"

namespace fugo::bench {
namespace {

constexpr hsm::KeyName kAesKey{hsm::KeyPurpose::kLinkage, hsm::KeyAlgorithm::kAes256, 1};
constexpr hsm::KeyName kHmacKey{hsm::KeyPurpose::kLinkage, hsm::KeyAlgorithm::kHmacSha256, 1};
constexpr std::size_t kBlocks = kResidents * kBlocksOfResident;

std::vector<std::unique_ptr<RawSession>> open_sessions(const hsm::TokenSettings& token,
                                                       const hsm::KeyName& key,
                                                       std::size_t threads) {
  std::vector<std::unique_ptr<RawSession>> sessions;
  for (std::size_t i = 0; i < threads; ++i)
    sessions.push_back(std::make_unique<RawSession>(token, key));
  return sessions;
}

// Each thread encrypts one buffer over and over, which stays in its cache: the most that the
// token can give for calls of this size.
void raw_encrypt(benchmark::State& state, const hsm::TokenSettings& token, std::size_t bytes,
                 std::size_t threads) {
  const auto sessions = open_sessions(token, kAesKey, threads);
  const std::size_t blocks_in_call = bytes / sizeof(Block);
  std::vector<std::vector<Block>> buffers(threads, std::vector<Block>(blocks_in_call));
  run_timed(state, kBlocks, [&] {
    must(parallel_ranges(kBlocks, blocks_in_call, threads,
                         [&](std::size_t first, std::size_t last, std::size_t worker) -> Status {
                           sessions[worker]->encrypt(
                               std::span(buffers[worker]).first(last - first));
                           return {};
                         }));
  });
}

void raw_sign(benchmark::State& state, const hsm::TokenSettings& token, std::size_t threads) {
  constexpr std::size_t kSigns = 20'000;
  const auto sessions = open_sessions(token, kHmacKey, threads);
  run_timed(state, kSigns, [&] {
    must(parallel_ranges(kSigns, 100, threads,
                         [&](std::size_t first, std::size_t last, std::size_t worker) -> Status {
                           Block message;
                           for (std::size_t i = first; i < last; ++i) {
                             store_be(message.bytes.data(), static_cast<std::uint64_t>(i));
                             sessions[worker]->sign_hmac(message);
                           }
                           return {};
                         }));
  });
}

}  // namespace

void register_token_benchmarks(BenchSite& site) {
  const auto& token = site.token();
  for (const std::size_t threads : {std::size_t{1}, std::size_t{2}}) {
    for (const std::size_t kib : {std::size_t{64}, std::size_t{256}, std::size_t{1024}})
      benchmark::RegisterBenchmark(
          fmt::format("token/C_Encrypt/kib:{}/threads:{}", kib, threads).c_str(),
          [&token, kib, threads](benchmark::State& s) {
            raw_encrypt(s, token, kib * 1024, threads);
          })
          ->UseRealTime();
    benchmark::RegisterBenchmark(
        fmt::format("token/C_Sign_HMAC/threads:{}", threads).c_str(),
        [&token, threads](benchmark::State& s) { raw_sign(s, token, threads); })
        ->UseRealTime();
  }
}

}  // namespace fugo::bench
