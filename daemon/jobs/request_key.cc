#include "daemon/jobs/request_key.h"

#include <algorithm>

#include "base/bytes.h"

namespace fugo::daemon {
namespace {

constexpr std::size_t kNonceBytes = 15;
constexpr std::size_t kGenerationAt = 16;

}  // namespace

Result<RequestKeySource> new_request_key(engine::Site& site) {
  RequestKeySource source{};
  FUGO_TRY(site.token().random(MutableByteView(source).first(kNonceBytes)));
  store_be(&source[kGenerationAt], std::uint16_t{site.active_generation().number});
  return source;
}

RequestKeySource merger_key(keystore::Generation generation) {
  RequestKeySource source{};
  store_be(&source[kGenerationAt], std::uint16_t{generation});
  return source;
}

Result<SecretBytes<32>> request_key(engine::Site& site, const RequestKeySource& source) {
  const auto number = load_be<std::uint16_t>(&source[kGenerationAt]);
  FUGO_ASSIGN(const auto generations, site.ledger().generations());
  const auto generation =
      std::find_if(generations.begin(), generations.end(),
                   [&](const keystore::GenerationRow& row) { return row.number == number; });
  if (generation == generations.end())
    return fail(ErrorCode::kRefused, "the request's symbol version is not registered",
                "ledger, table jobs", "run fugo verify");
  Block nonce;
  std::copy_n(source.begin(), nonce.bytes.size(), nonce.bytes.begin());
  SecretBytes<32> key;
  FUGO_TRY(site.symbols().request_key(*generation, nonce, key));
  return key;
}

}  // namespace fugo::daemon
