#include "engine/site.h"

#include <utility>

namespace fugo::engine {

Result<std::unique_ptr<Site>> Site::open(const SiteSettings& settings, keystore::Access access) {
  FUGO_ASSIGN(const auto header, keystore::Ledger::read_header(settings.ledger_directory));
  std::unique_ptr<Site> site(new Site);
  FUGO_ASSIGN(site->token_, hsm::Token::open(settings.token));
  const hsm::KeyName wrap_name{hsm::KeyPurpose::kDataWrap, hsm::KeyAlgorithm::kAes256,
                               header.wrap_key_version};
  FUGO_ASSIGN(const auto wrap_key, site->token_->find_key(wrap_name, std::nullopt));
  FUGO_ASSIGN(const auto data_key,
              site->token_->unwrap_data_key(wrap_key, header.wrapped_data_key));
  FUGO_ASSIGN(site->ledger_, keystore::Ledger::open(settings.ledger_directory, access, data_key));
  FUGO_TRY(site->reload());
  return site;
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
