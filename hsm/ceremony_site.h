// One token during a ceremony: read-write, by raw PKCS#11; private to this layer.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "hsm/attributes.h"
#include "hsm/ceremony.h"
#include "hsm/key_recovery.h"
#include "hsm/recovery_package.h"
#include "hsm/session.h"

namespace fugo::hsm {

// WrappedKey is a key on its way to one token.
struct WrappedKey {
  KeyName name;
  std::vector<std::uint8_t> blob;  // OAEP, or for kEcP256 under the transport key
  std::vector<std::uint8_t> public_point;
};

// Delivery is all that one target is sent.
struct Delivery {
  RsaPublicKey ceremony_key;  // of the target's one-ceremony key pair
  std::vector<std::uint8_t> transport_key;
  std::vector<WrappedKey> keys;
};

// SourceKeys is what the first target made.
struct SourceKeys {
  std::vector<CeremonyKey> keys;
  std::vector<Delivery> deliveries;  // one a target, in order
  RecoveryPackage recovery;
  std::vector<std::uint8_t> wrapped_data_key;
  std::vector<std::uint8_t> journal_public_key;
};

// CeremonySite is a visit to one target: module initialised for it, a read-write session, the user
// logged in. One at a time; it ends before the next begins.
class CeremonySite {
 public:
  [[nodiscard]] static Result<CeremonySite> open(const TokenSettings& settings);

  // check_all_absent is kRefused when one of the names is in the token, whatever its role.
  [[nodiscard]] Status check_all_absent(const std::vector<KeyName>& names);

  // make_ceremony_key makes the one-ceremony RSA key pair, its private key called `label`: it can
  // only unwrap, and only into keys of the attributes that all its deliveries share.
  [[nodiscard]] Result<RsaPublicKey> make_ceremony_key(const std::vector<KeyName>& names,
                                                       const std::string& label);

  // import_recovery_key puts a recovery key there instead, for this visit: a session object that
  // can unwrap what make_ceremony_key's could.
  [[nodiscard]] Status import_recovery_key(const RecoveryKey& key,
                                           const std::vector<KeyName>& names,
                                           const std::string& label);

  // receive unwraps a delivery into the token and destroys the ceremony key.
  [[nodiscard]] Status receive(const Delivery& delivery, const std::string& label);

  // remove destroys every object of the names; remove_ceremony_keys every private key whose label
  // begins as kCeremonyLabel. Both go on after an error and return the first.
  [[nodiscard]] Status remove(const std::vector<KeyName>& names);
  [[nodiscard]] Status remove_ceremony_keys();

  // description names the token for a person.
  [[nodiscard]] const std::string& description() const { return description_; }

 private:
  // add_ceremony_uses says what an RSA private key that receives keys may do: unwrap `names`.
  void add_ceremony_uses(Template& key, const std::vector<KeyName>& names, const std::string& label,
                         bool in_token) const;
  // uses_of is what a key may do here: by_cmac() in a token that refuses CKM_AES_ECB.
  [[nodiscard]] KeyUses uses_of(const KeyName& name) const;
  [[nodiscard]] Template shared_rules(const std::vector<KeyName>& names) const;
  [[nodiscard]] Status destroy_all(Template& wanted);
  [[nodiscard]] Result<CK_OBJECT_HANDLE> unwrap(CK_MECHANISM mechanism, CK_OBJECT_HANDLE by,
                                                const std::vector<std::uint8_t>& blob,
                                                Template made);
  [[nodiscard]] Status make_public_key(const WrappedKey& key);

  TokenRole role_ = TokenRole::kIssuing;
  std::shared_ptr<Module> module_;
  CK_SLOT_ID slot_ = 0;
  bool cmac_only_ = false;
  bool with_mechanisms_ = true;
  CK_MECHANISM_TYPE wrap_with_padding_ = CKM_AES_KEY_WRAP_PAD;
  std::string description_;
  Session session_;
};

// make_source_keys makes every key as a session object of `source`, wraps it for each target that
// its role gives it to and for recovery, and lets the session objects go. `targets` holds the
// roles, `deliveries` the ceremony keys to wrap to.
[[nodiscard]] Result<SourceKeys> make_source_keys(const CeremonyTarget& source,
                                                  const std::vector<CeremonyTarget>& targets,
                                                  std::vector<Delivery> deliveries,
                                                  const std::vector<KeyName>& names,
                                                  const RsaPublicKey& recovery_key);

// oaep is CKM_RSA_PKCS_OAEP with SHA-1, the only hash that SoftHSM 2.6.1 has for it.
[[nodiscard]] CK_MECHANISM oaep();

// wrap_with_padding is what the token in `slot` calls RFC 5649: CKM_AES_KEY_WRAP_KWP where it is
// there, else CKM_AES_KEY_WRAP_PAD, under which SoftHSM has it and others have another padding.
[[nodiscard]] CK_MECHANISM_TYPE wrap_with_padding(CK_FUNCTION_LIST* functions, CK_SLOT_ID slot);

// any_ec tells whether one of the names needs the transport key.
[[nodiscard]] bool any_ec(const std::vector<KeyName>& names, TokenRole role);

}  // namespace fugo::hsm
