#include "daemon/journal/signed_checkpoint.h"

#include <filesystem>

#include "daemon/exchange/certificate.h"
#include "daemon/journal/journal_check.h"
#include "daemon/journal/signature.h"

namespace fugo::daemon {
namespace {

// Whose requests are taken, as exchange.senders has it; a checkpoint is made whatever is there.
std::string digest_of_senders(const std::filesystem::path& folder) {
  const auto senders = read_certificates(folder);
  const auto digest =
      senders ? digest_of_certificates(*senders) : Result<std::string>("unreadable");
  return digest.value_or("unreadable");
}

}  // namespace

Result<SignedCheckpoint> sign_site_checkpoint(hsm::Token& token, const keystore::Ledger& ledger,
                                              const Settings& settings) {
  SignedCheckpoint made;
  FUGO_ASSIGN(const auto keys, ledger.key_rows());
  FUGO_ASSIGN(made.key, signing_key(keys));
  FUGO_ASSIGN(made.checkpoint, checkpoint_now(ledger, settings.file));
  made.checkpoint.extensions.push_back("senders " + digest_of_senders(settings.exchange.senders));
  FUGO_ASSIGN(made.note, sign_checkpoint(token, made.key, made.checkpoint));
  return made;
}

}  // namespace fugo::daemon
