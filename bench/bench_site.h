// What the benchmarks share: a site with embedded tokens, and ways to its parts.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "base/result.h"
#include "daemon/config.h"
#include "engine/site.h"
#include "hsm/module.h"

namespace fugo::bench {

// kResidents is how many residents one iteration handles; each takes three blocks (L, V, S).
inline constexpr std::size_t kResidents = 1'000'000;
inline constexpr std::size_t kBlocksOfResident = 3;

// must unwraps a result; a benchmark that cannot be set up ends the program with the message.
[[noreturn]] void give_up(const Error& error);
template <typename T>
T must(Result<T> result) {
  if (!result) give_up(result.error());
  return std::move(*result);
}
inline void must(const Status& status) {
  if (!status) give_up(status.error());
}

// BenchSite is a site opened for reading in the issuing role. Nothing is written to it.
class BenchSite {
 public:
  // open reads a configuration that `fugo init` wrote; its registry must have agencies.
  [[nodiscard]] static BenchSite open(const std::filesystem::path& configuration);

  [[nodiscard]] engine::Site& site() { return *site_; }
  [[nodiscard]] const hsm::TokenSettings& token() const { return token_; }
  // symbols makes symbols with the given number of threads, by a Token of its own.
  [[nodiscard]] std::unique_ptr<engine::Symbols> symbols(std::size_t threads);

 private:
  hsm::TokenSettings token_;
  std::unique_ptr<engine::Site> site_;
};

// RawSession is one PKCS#11 session with a key looked up, without anything of ours around it.
// Needs an open Token behind it: that is who logged in.
class RawSession {
 public:
  RawSession(const hsm::TokenSettings& token, const hsm::KeyName& key);
  ~RawSession();
  RawSession(const RawSession&) = delete;
  RawSession& operator=(const RawSession&) = delete;

  // encrypt is C_EncryptInit and C_Encrypt with CKM_AES_ECB, in place.
  void encrypt(std::span<Block> blocks);
  // sign_hmac is C_SignInit and C_Sign with CKM_SHA256_HMAC on one block.
  void sign_hmac(const Block& message);

 private:
  std::shared_ptr<hsm::Module> module_;
  CK_SESSION_HANDLE session_ = CK_INVALID_HANDLE;
  CK_OBJECT_HANDLE key_ = CK_INVALID_HANDLE;
};

// resident_codes makes kResidents valid codes, the same each time.
[[nodiscard]] std::vector<std::uint64_t> resident_codes();

// run_timed measures `work` once an iteration, by the wall clock, and counts `items` each.
template <typename Work>
void run_timed(benchmark::State& state, std::size_t items, const Work& work) {
  for (auto _ : state) work();
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(items));
}

// Each file of benchmarks adds its own.
void register_token_benchmarks(BenchSite& site);
void register_symbol_benchmarks(BenchSite& site);
void register_ledger_benchmarks();

}  // namespace fugo::bench
