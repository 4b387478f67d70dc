#include "bench/bench_site.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "bench/permutation.h"
#include "bench/registry.h"
#include "hsm/ck_names.h"
#include "hsm/find_token.h"

namespace fugo::bench {
namespace {

void must_ck(CK_RV rv, const char* function) {
  if (rv != CKR_OK) give_up({ErrorCode::kHsm, hsm::rv_name(rv), function, {}, rv});
}

}  // namespace

void give_up(const Error& error) {
  fmt::print(stderr, "fugo_bench: {}\n", error.message());
  // SoftHSM crashes when its own static objects go while it is initialised.
  std::_Exit(EXIT_FAILURE);
}

BenchSite BenchSite::open(const std::filesystem::path& configuration) {
  const auto settings = must(daemon::load_settings(std::filesystem::absolute(configuration)));
  BenchSite bench;
  bench.token_ = must(settings.token(hsm::TokenRole::kIssuing));
  bench.site_ =
      must(engine::Site::open({settings.ledger_directory, bench.token_}, keystore::Access::kRead));
  if (bench.site_->agencies().empty())
    give_up({ErrorCode::kUsage, "no agency is registered", configuration.string(),
             "fugo agency import", 0});
  return bench;
}

std::unique_ptr<engine::Symbols> BenchSite::symbols(std::size_t threads) {
  auto settings = token_;
  settings.threads = threads;
  const auto keys = must(site_->ledger().key_rows());
  const auto generations = must(site_->ledger().generations());
  return must(engine::Symbols::open(must(hsm::Token::open(settings)), keys, generations,
                                    site_->agencies()));
}

RawSession::RawSession(const hsm::TokenSettings& token, const hsm::KeyName& key)
    : module_(must(hsm::Module::open(token.module, token.softhsm_conf))) {
  const auto found = must(hsm::find_token(*module_, token.uri));
  auto* const p11 = module_->functions();
  must_ck(p11->C_OpenSession(found.slot, CKF_SERIAL_SESSION, nullptr, nullptr, &session_),
          "C_OpenSession");
  std::string label = hsm::key_label(key);
  CK_ATTRIBUTE wanted{CKA_LABEL, label.data(), label.size()};
  CK_ULONG count = 0;
  must_ck(p11->C_FindObjectsInit(session_, &wanted, 1), "C_FindObjectsInit");
  must_ck(p11->C_FindObjects(session_, &key_, 1, &count), "C_FindObjects");
  must_ck(p11->C_FindObjectsFinal(session_), "C_FindObjectsFinal");
  if (count != 1) give_up({ErrorCode::kHsm, "no such key", label, {}, 0});
}

RawSession::~RawSession() { module_->functions()->C_CloseSession(session_); }

void RawSession::encrypt(std::span<Block> blocks) {
  CK_MECHANISM mechanism{CKM_AES_ECB, nullptr, 0};
  auto* const data = reinterpret_cast<CK_BYTE*>(blocks.data());
  CK_ULONG size = blocks.size_bytes();
  must_ck(module_->functions()->C_EncryptInit(session_, &mechanism, key_), "C_EncryptInit");
  must_ck(module_->functions()->C_Encrypt(session_, data, size, data, &size), "C_Encrypt");
}

void RawSession::sign_hmac(const Block& message) {
  CK_MECHANISM mechanism{CKM_SHA256_HMAC, nullptr, 0};
  Block in = message;
  std::array<CK_BYTE, 32> mac{};
  CK_ULONG size = mac.size();
  must_ck(module_->functions()->C_SignInit(session_, &mechanism, key_), "C_SignInit");
  must_ck(
      module_->functions()->C_Sign(session_, in.bytes.data(), in.bytes.size(), mac.data(), &size),
      "C_Sign");
}

std::vector<std::uint64_t> resident_codes() {
  const Permutation ten_digits(10'000'000'000U, 1);
  std::vector<std::uint64_t> codes(kResidents);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const auto start = ten_digits.at(i);
    codes[i] = start * 10 + resident_check_digit(start);
  }
  return codes;
}

}  // namespace fugo::bench
