#include "keystore/ledger_keys.h"

#include <algorithm>
#include <string>

#include "keystore/openssl_util.h"

namespace fugo::keystore {
namespace {

template <std::size_t N>
Status derive_named(const SecretBytes<32>& data_key, const Block& ledger_id, const char* name,
                    SecretBytes<N>& out) {
  const std::string info = std::string("fugo ") + name;
  return hkdf_sha256(data_key.bytes(), ledger_id.bytes, as_bytes(info), out.bytes());
}

}  // namespace

Result<std::shared_ptr<const LedgerKeys>> LedgerKeys::derive(const SecretBytes<32>& data_key,
                                                             const Block& ledger_id) {
  auto keys = std::make_shared<LedgerKeys>();
  keys->ledger_id_ = ledger_id;
  FUGO_TRY(derive_named(data_key, ledger_id, "seal", keys->seal_));
  FUGO_TRY(derive_named(data_key, ledger_id, "index", keys->index_));
  FUGO_TRY(derive_named(data_key, ledger_id, "digest", keys->digest_));
  FUGO_TRY(derive_named(data_key, ledger_id, "request", keys->request_));
  FUGO_TRY(derive_named(data_key, ledger_id, "spill", keys->spill_));
  return std::shared_ptr<const LedgerKeys>(std::move(keys));
}

Status LedgerKeys::symbol_digests(std::span<const Block> symbols,
                                  std::span<std::uint64_t> digests) const {
  constexpr std::size_t kBatch = 256;  // stays in the first-level cache
  FUGO_ASSIGN(auto encryptor, BlockEncryptor::create(index_));
  std::array<Block, kBatch> encrypted;
  for (std::size_t first = 0; first < symbols.size(); first += kBatch) {
    const std::size_t count = std::min(kBatch, symbols.size() - first);
    FUGO_TRY(encryptor.encrypt(symbols.subspan(first, count), std::span(encrypted).first(count)));
    for (std::size_t i = 0; i < count; ++i)
      digests[first + i] = load_be<std::uint64_t>(encrypted[i].bytes.data());
  }
  wipe(encrypted.data(), sizeof encrypted);
  return {};
}

}  // namespace fugo::keystore
