#include "daemon/statement.h"

#include <string>

#include "base/file.h"

namespace fugo::daemon {
namespace {

std::filesystem::path beside(std::filesystem::path path, const char* ending) {
  return path += ending;
}

}  // namespace

Status write_statement(hsm::Token& token, const keystore::KeyRow& journal_key,
                       const nlohmann::ordered_json& document, const std::filesystem::path& path) {
  const std::string text =
      document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  FUGO_ASSIGN(const auto signature, sign_text(token, journal_key, text));
  FUGO_ASSIGN(const auto pem, public_key_pem(journal_key));
  FUGO_TRY(write_durably(beside(path, ".sig"), signature));
  FUGO_TRY(write_durably(beside(path, ".pem"), as_bytes(pem)));
  return write_durably(path, as_bytes(text));
}

Result<std::string> read_statement(const std::vector<keystore::KeyRow>& rows,
                                   const std::filesystem::path& path, std::size_t limit_in_bytes) {
  constexpr std::size_t kMostSignatureBytes = 256, kMostKeyBytes = 4096;
  FUGO_ASSIGN(auto text, read_small(path, limit_in_bytes));
  const auto der = read_small(beside(path, ".sig"), kMostSignatureBytes);
  if (!der)
    return fail(ErrorCode::kDamaged, "has no signature: " + der.error().message(), path.string());
  FUGO_ASSIGN(const auto signer, find_signer(rows, text, as_bytes(*der), path.string()));
  // Not needed here, but others check the statement with it.
  FUGO_ASSIGN(const auto pem, public_key_pem(signer));
  const auto key = read_small(beside(path, ".pem"), kMostKeyBytes);
  if (!key || *key != pem)
    return fail(ErrorCode::kDamaged, "is not the public key of the signature",
                beside(path, ".pem").string());
  return text;
}

}  // namespace fugo::daemon
