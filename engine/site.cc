#include "engine/site.h"

#include <functional>
#include <utility>

namespace fugo::engine {

namespace {

using OpenLedger =
    std::function<Result<std::unique_ptr<keystore::Ledger>>(const keystore::LedgerHeader& header)>;

// A ledger may be given new keys between a look at its header and its opening.
Result<std::unique_ptr<keystore::Ledger>> open_ledger(const std::filesystem::path& directory,
                                                      keystore::LedgerHeader header,
                                                      const OpenLedger& open) {
  for (int attempt = 1;; ++attempt) {
    auto ledger = open(header);
    if (ledger || attempt == 3) return ledger;
    FUGO_ASSIGN(auto now, keystore::Ledger::read_header(directory));
    if (now.wrapped_data_key == header.wrapped_data_key) return ledger;
    header = std::move(now);
  }
}

}  // namespace

Result<SecretBytes<32>> Site::data_key(const keystore::LedgerHeader& header) const {
  const hsm::KeyName wrap_name{hsm::KeyPurpose::kDataWrap, hsm::KeyAlgorithm::kAes256,
                               header.wrap_key_version};
  FUGO_ASSIGN(const auto wrap_key, token_->find_key(wrap_name, std::nullopt));
  return token_->unwrap_data_key(wrap_key, header.wrapped_data_key);
}

Result<std::unique_ptr<Site>> Site::open(const SiteSettings& settings, keystore::Access access) {
  FUGO_ASSIGN(const auto seen, keystore::Ledger::read_header(settings.ledger_directory));
  std::unique_ptr<Site> site(new Site);
  site->ledger_directory_ = settings.ledger_directory;
  FUGO_ASSIGN(site->token_, hsm::Token::open(settings.token));
  FUGO_ASSIGN(site->ledger_,
              open_ledger(settings.ledger_directory, seen,
                          [&](const auto& header) -> Result<std::unique_ptr<keystore::Ledger>> {
                            FUGO_ASSIGN(const auto key, site->data_key(header));
                            return keystore::Ledger::open(settings.ledger_directory, access, key);
                          }));
  FUGO_TRY(site->reload());
  return site;
}

Status Site::reopen_ledger() {
  FUGO_ASSIGN(const auto seen, keystore::Ledger::read_header(ledger_directory_));
  FUGO_ASSIGN(ledger_,
              open_ledger(ledger_directory_, seen,
                          [&](const auto& header) -> Result<std::unique_ptr<keystore::Ledger>> {
                            FUGO_ASSIGN(const auto key, data_key(header));
                            return ledger_->open_again(key);
                          }));
  return {};
}

Status Site::reopen() {
  FUGO_TRY(reopen_ledger());
  return reload();
}

Status Site::reload() {
  FUGO_ASSIGN(const auto state, ledger_->state());  // first: a change after it is noticed
  registry_version_ = state.registry_version;
  FUGO_ASSIGN(agencies_, ledger_->agencies());
  FUGO_ASSIGN(const auto keys, ledger_->key_rows());
  FUGO_ASSIGN(generations_, ledger_->generations());
  FUGO_ASSIGN(const auto runs, ledger_->runs());
  FUGO_ASSIGN(accepted_, accepted_of(generations_, runs));
  active_ = accepted_.front().row;
  FUGO_ASSIGN(starts_, starts_of(generations_));
  FUGO_ASSIGN(symbols_, Symbols::open(token_, keys, generations_, agencies_));
  return {};
}

const keystore::GenerationRow* Site::find_accepted(keystore::Generation number) const {
  for (const Accepted& generation : accepted_)
    if (generation.row.number == number) return &generation.row;
  return nullptr;
}

const keystore::Agency* Site::find_agency(std::string_view code) const {
  for (const auto& agency : agencies_)
    if (agency.code == code) return &agency;
  return nullptr;
}

const keystore::GenerationRow* Site::find_generation(keystore::Generation number) const {
  for (const auto& row : generations_)
    if (row.number == number) return &row;
  return nullptr;
}

}  // namespace fugo::engine
