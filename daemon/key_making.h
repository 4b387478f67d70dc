// Making keys in every token of a site, and taking them out again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "daemon/config.h"
#include "daemon/site_access.h"
#include "hsm/key_spec.h"
#include "keystore/types.h"

namespace fugo::daemon {

// keys_of lists the keys that make up one version of a purpose: one of every algorithm that sites
// have, and of kAgency both XTS keys too, which share its version. Empty for the XTS purposes.
[[nodiscard]] std::vector<hsm::KeyName> keys_of(hsm::KeyPurpose purpose, std::uint16_t version);

// first_keys is what a site has from its first day: version 1 of everything.
[[nodiscard]] std::vector<hsm::KeyName> first_keys();

// leading_purpose is the purpose whose version a key follows: kAgency for the XTS keys.
[[nodiscard]] hsm::KeyPurpose leading_purpose(hsm::KeyPurpose purpose);

// purpose_name is the word that commands have for a purpose: "linkage"; find_purpose its inverse
// for those that keys are made of, of which the XTS purposes are none.
[[nodiscard]] const char* purpose_name(hsm::KeyPurpose purpose);
[[nodiscard]] std::optional<hsm::KeyPurpose> find_purpose(std::string_view name);

// name_of is the name that a row of the registry is about.
[[nodiscard]] hsm::KeyName name_of(const keystore::KeyRow& row);

// MadeKeys is what a ceremony leaves for the registry and the ledger.
struct MadeKeys {
  std::vector<keystore::KeyRow> rows;  // state kPending, in the order of the names
  // Of the kDataWrap key among them, else empty; its row has it too.
  std::vector<std::uint8_t> wrapped_data_key;
  std::filesystem::path recovery_package;
};

// TokenVisit is how the removal of keys from one token went.
struct TokenVisit {
  hsm::TokenRole role = hsm::TokenRole::kIssuing;
  std::string token;           // its description; empty with an error
  std::int64_t time = 0;       // when the keys were seen to be absent
  std::optional<Error> error;  // why nothing is known
};

// open_ledger_with tries the configured ones of `roles` in their order, and gives the first error
// when none of the tokens is there.
[[nodiscard]] Result<OpenLedger> open_ledger_with(const Settings& settings,
                                                  const std::vector<hsm::TokenRole>& roles,
                                                  keystore::Access access);

// KeyAdministration is one process's exclusive right to make and destroy keys of a site. No Token
// may be alive when its members are called; the modules are finalized before and after.
class KeyAdministration {
 public:
  // open: kRefused while another process has it. `settings` must outlive it.
  [[nodiscard]] static Result<KeyAdministration> open(const Settings& settings);

  // check_can_make is kUsage for what the configuration lacks for make(): a token, the security
  // officer's PIN file, the recovery key.
  [[nodiscard]] Status check_can_make() const;

  // try_tokens is the first error of a configured token that cannot be administered.
  [[nodiscard]] Status try_tokens();

  // check_unknown is kRefused when a token, or the folder of packages, has keys of these names: a
  // ledger that is about to make them for the first time was put back to an older state, or is not
  // the only one of these tokens. What others made with it is never destroyed for being unknown.
  [[nodiscard]] Status check_unknown(const std::vector<hsm::KeyName>& names) const;

  // make runs a ceremony that leaves the keys in the issuing, the linking and the standby token and
  // writes recovery-package-NAME.json for the site's recovery key. Before it, what ceremonies that
  // died have left of `remains` is removed. The registry is looked at: kRefused when it has one of
  // the names or remains other than in state kMaking; kRefused too when a token or a package has
  // one of the names, and for SoftHSM in production.
  [[nodiscard]] Result<MadeKeys> make(const std::vector<hsm::KeyName>& names,
                                      const std::string& name,
                                      const std::vector<hsm::KeyName>& remains = {});
  // remove destroys the keys, and what ceremonies that died have left, in every configured token;
  // absent ones are fine. It goes on after a token that fails. kRefused for a key that the registry
  // has as active, accepting or chain.
  [[nodiscard]] Result<std::vector<TokenVisit>> remove(const std::vector<hsm::KeyName>& names);

  // take_back removes what a ceremony of these names has left that came to no end, with its
  // package. The first error of a token; kUsage when not every token is configured, since the keys
  // may be in each; kRefused when the registry has one of the names other than
  // in state kMaking.
  [[nodiscard]] Status take_back(const std::vector<hsm::KeyName>& names, const std::string& name);

 private:
  KeyAdministration(const Settings& settings, UniqueFd lock)
      : settings_(&settings), lock_(std::move(lock)) {}
  [[nodiscard]] Status remove_remains(const std::vector<hsm::KeyName>& names);
  [[nodiscard]] Result<std::vector<TokenVisit>> visit_all(const std::vector<hsm::KeyName>& names);

  const Settings* settings_;
  UniqueFd lock_;
};

}  // namespace fugo::daemon
