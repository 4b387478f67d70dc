// The ledger's parts: sealing blocks, and looking people up in a run of the index.
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "bench/bench_site.h"
#include "bench/permutation.h"
#include "keystore/block_cipher.h"
#include "keystore/bulk_files.h"
#include "keystore/openssl_util.h"

namespace fugo::bench {
namespace {

constexpr std::size_t kIndexed = std::size_t{1} << 22U;
constexpr std::size_t kQueries = std::size_t{1} << 20U;

void seal_blocks(benchmark::State& state) {
  constexpr std::size_t kBlocks = 4096;
  SecretBytes<32> key;
  must(keystore::random_secret(key.bytes()));
  auto cipher = must(keystore::BlockCipher::create(key, keystore::BlockCipher::Use::kSeal));
  keystore::PlainBlock plain;
  std::array<std::uint8_t, keystore::kBlockBytes> sealed{};
  std::uint64_t number = 0;
  run_timed(state, kBlocks, [&] {
    for (std::size_t i = 0; i < kBlocks; ++i)
      must(cipher.seal(number++, plain.data(), sealed.data()));
  });
  state.SetBytesProcessed(state.items_processed() *
                          static_cast<std::int64_t>(keystore::kPlainBytes));
}

// IndexRun is a sealed run of index entries in a directory that goes with it.
class IndexRun {
 public:
  IndexRun() {
    std::string pattern = (std::filesystem::temp_directory_path() / "fugo-bench-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr)
      give_up({ErrorCode::kIo, "cannot make a directory", pattern, {}, 0});
    place_.directory = pattern;
    std::vector<keystore::IndexEntry> entries(kIndexed);
    for (std::size_t i = 0; i < kIndexed; ++i)
      entries[i] = {mix(i), static_cast<keystore::PersonId>(i), 0};
    std::sort(entries.begin(), entries.end(),
              [](const auto& a, const auto& b) { return a.digest < b.digest; });
    keystore::SegmentFiles files;
    files.index = entries;
    rows_ = must(keystore::write_segment_files(place_, 1, files));
    snapshot_ = must(keystore::open_snapshot(place_, rows_));
  }
  ~IndexRun() {
    std::error_code ignored;
    std::filesystem::remove_all(place_.directory, ignored);
  }
  IndexRun(const IndexRun&) = delete;
  IndexRun& operator=(const IndexRun&) = delete;
  [[nodiscard]] const keystore::Snapshot& snapshot() const { return *snapshot_; }

 private:
  keystore::BulkPlace place_;
  std::vector<keystore::FileRow> rows_;
  std::shared_ptr<const keystore::Snapshot> snapshot_;
};

// Every second query is somebody who is there.
void look_up(benchmark::State& state) {
  const IndexRun run;
  std::vector<std::uint64_t> queries(kQueries);
  for (std::size_t i = 0; i < kQueries; ++i)
    queries[i] = mix(mix(i) % kIndexed + (i % 2 == 0 ? 0 : kIndexed));
  std::sort(queries.begin(), queries.end());
  std::vector<keystore::IndexHit> hits;
  run_timed(state, kQueries, [&] {
    hits.clear();
    must(run.snapshot().find_people(1, queries, hits));
  });
  if (hits.size() < kQueries / 2)
    give_up({ErrorCode::kInternal, "people of the index were not found", "find_people", {}, 0});
}

}  // namespace

void register_ledger_benchmarks() {
  benchmark::RegisterBenchmark("ledger/seal_block", seal_blocks)->UseRealTime();
  benchmark::RegisterBenchmark("ledger/find_people", look_up)
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
}

}  // namespace fugo::bench
