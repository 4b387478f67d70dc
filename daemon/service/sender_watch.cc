#include "daemon/service/sender_watch.h"

#include <nlohmann/json.hpp>

#include "daemon/exchange/certificate.h"

namespace fugo::daemon {

Status SenderWatch::look(keystore::Ledger& ledger) {
  const auto senders = read_certificates(folder_);
  if (!senders || (senders->empty() && seen_.empty())) return {};
  FUGO_ASSIGN(auto digest, digest_of_certificates(*senders));
  if (digest == seen_) return {};
  nlohmann::ordered_json details = {{"senders", nlohmann::ordered_json::array()}};
  for (const Certificate& sender : *senders) {
    FUGO_ASSIGN(const auto fingerprint, sender.fingerprint());
    details["senders"].push_back({{"sender", sender.name()}, {"certificate", fingerprint}});
  }
  FUGO_ASSIGN(const auto update, ledger.begin());
  FUGO_TRY(update->append_journal(actor_, "exchange.senders", details.dump()));
  FUGO_TRY(update->commit());
  seen_ = std::move(digest);
  return {};
}

}  // namespace fugo::daemon
