// A site in use: one token in one role, the ledger, and the symbols that both make together.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "engine/accepted.h"
#include "engine/starts.h"
#include "engine/symbols.h"
#include "hsm/token.h"
#include "keystore/ledger.h"

namespace fugo::engine {

// SiteSettings says where a site's ledger and token are; the token's role comes with it.
struct SiteSettings {
  std::filesystem::path ledger_directory;
  hsm::TokenSettings token;
};

// Site holds what every act needs. Members are thread-safe, reload() and reopen() are not.
class Site {
 public:
  // open reads the ledger's header (its schema is checked before anything else), opens the token,
  // unwraps the data key, opens the ledger, and finds the keys of all live generations with
  // attributes and fingerprints checked. Errors as those of the parts.
  [[nodiscard]] static Result<std::unique_ptr<Site>> open(const SiteSettings& settings,
                                                          keystore::Access access);

  [[nodiscard]] keystore::Ledger& ledger() { return *ledger_; }
  // shared_ledger is for those who outlast a reopen() with the ledger as it was.
  [[nodiscard]] const std::shared_ptr<keystore::Ledger>& shared_ledger() { return ledger_; }
  [[nodiscard]] hsm::Token& token() { return *token_; }
  [[nodiscard]] const std::shared_ptr<hsm::Token>& shared_token() { return token_; }
  [[nodiscard]] Symbols& symbols() { return *symbols_; }

  // agencies and generations as they were at open() or reload().
  [[nodiscard]] const std::vector<keystore::Agency>& agencies() const { return agencies_; }
  [[nodiscard]] const std::vector<keystore::GenerationRow>& generations() const {
    return generations_;
  }
  // active_generation makes the symbols that are given out: agency symbols go by its number, people
  // and index by its linkage_generation.
  [[nodiscard]] const keystore::GenerationRow& active_generation() const { return active_; }
  // find_generation: nullptr when there is none of this number. Pointers last until reload().
  [[nodiscard]] const keystore::GenerationRow* find_generation(keystore::Generation number) const;
  // starts are where people start from, by starts_of(): the last is the active one.
  [[nodiscard]] const std::vector<Start>& starts() const { return starts_; }
  // accepted are the generations whose symbols are resolved, by accepted_of(): first the active
  // one.
  [[nodiscard]] const std::vector<Accepted>& accepted() const { return accepted_; }
  // registry_version is LedgerState's, as it was when the registries were read or before: whoever
  // depends on them compares it within a transaction of its own.
  [[nodiscard]] std::uint64_t registry_version() const { return registry_version_; }
  // find_accepted: nullptr when symbols of this generation are not resolved (any more, or yet).
  [[nodiscard]] const keystore::GenerationRow* find_accepted(keystore::Generation number) const;
  // find_agency: nullptr when the code is not registered. Pointers last until reload().
  [[nodiscard]] const keystore::Agency* find_agency(std::string_view code) const;

  // reload reads the registries again and looks the keys up anew.
  [[nodiscard]] Status reload();

  // reopen opens the ledger again that was given new keys (kStale), with the same access, and
  // reloads: references to what it held are good no longer. reopen_ledger does not reload.
  [[nodiscard]] Status reopen();
  [[nodiscard]] Status reopen_ledger();

 private:
  Site() = default;
  [[nodiscard]] Result<SecretBytes<32>> data_key(const keystore::LedgerHeader& header) const;

  std::filesystem::path ledger_directory_;

  // In order of dependence: the last is destroyed first.
  std::shared_ptr<hsm::Token> token_;
  std::shared_ptr<keystore::Ledger> ledger_;
  std::unique_ptr<Symbols> symbols_;
  std::vector<keystore::Agency> agencies_;
  std::vector<keystore::GenerationRow> generations_;
  keystore::GenerationRow active_;
  std::vector<Start> starts_;
  std::vector<Accepted> accepted_;
  std::uint64_t registry_version_ = 0;
};

}  // namespace fugo::engine
