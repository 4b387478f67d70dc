// Attributes of keys: templates to make them, rules to check them.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "hsm/ck_names.h"
#include "hsm/key_spec.h"

namespace fugo::hsm {

// Template is a list of attributes that owns their values. The order is kept: SoftHSM applies
// them one after the other.
class Template {
 public:
  Template() = default;
  ~Template();  // wipes the values: a private key may be among them
  Template(Template&&) = default;
  Template& operator=(Template&&) = default;

  Template& flag(CK_ATTRIBUTE_TYPE type, bool value);
  Template& number(CK_ATTRIBUTE_TYPE type, CK_ULONG value);
  Template& bytes(CK_ATTRIBUTE_TYPE type, ByteView value);
  Template& mechanisms(std::span<const CK_MECHANISM_TYPE> list);  // CKA_ALLOWED_MECHANISMS
  // nested takes another template as the value of CKA_UNWRAP_TEMPLATE; it is kept.
  Template& unwrap_template(Template inner);

  [[nodiscard]] CK_ATTRIBUTE* data() { return attributes_.data(); }
  [[nodiscard]] CK_ULONG size() const { return attributes_.size(); }

 private:
  // attributes_ points at the bytes of these vectors, which stay where they are when moved.
  std::vector<std::vector<std::uint8_t>> values_;
  std::vector<Template> nested_;
  std::vector<CK_ATTRIBUTE> attributes_;
};

// FlagRule is a boolean attribute that a key must have with exactly this value.
struct FlagRule {
  CK_ATTRIBUTE_TYPE type;
  std::string_view name;
  bool value;
};

// flag_rules lists every boolean attribute that is set when a key is made and checked when it is
// found: what is not among `uses` is FALSE.
[[nodiscard]] std::vector<FlagRule> flag_rules(KeyAlgorithm algorithm, const KeyUses& uses);

// mechanisms_of is CKA_ALLOWED_MECHANISMS of a key.
[[nodiscard]] std::vector<CK_MECHANISM_TYPE> mechanisms_of(KeyAlgorithm algorithm,
                                                           const KeyUses& uses);

[[nodiscard]] CK_OBJECT_CLASS class_of(KeyAlgorithm algorithm);
[[nodiscard]] CK_KEY_TYPE type_of(KeyAlgorithm algorithm);

// final_template is what C_UnwrapKey needs to leave a key in a token exactly as placed. Its last
// attribute is CKA_MODIFIABLE=FALSE: SoftHSM refuses whatever follows that.
// `with_mechanisms` is TokenSettings::allowed_mechanisms, here and below.
[[nodiscard]] Template final_template(const KeyName& name, const KeyUses& uses,
                                      bool with_mechanisms);

// find_objects lists the objects that have all attributes of `wanted`.
[[nodiscard]] Result<std::vector<CK_OBJECT_HANDLE>> find_objects(CK_FUNCTION_LIST* functions,
                                                                 CK_SESSION_HANDLE session,
                                                                 Template& wanted);

// find_one_key finds the key object called `name`; kRefused when there is none or several.
[[nodiscard]] Result<CK_OBJECT_HANDLE> find_one_key(CK_FUNCTION_LIST* functions,
                                                    CK_SESSION_HANDLE session, const KeyName& name);

// check_absent is kRefused when any object has the label or the CKA_ID of `name`.
[[nodiscard]] Status check_absent(CK_FUNCTION_LIST* functions, CK_SESSION_HANDLE session,
                                  const KeyName& name);

// check_attributes compares key type, length, allowed mechanisms and every flag of flag_rules()
// with what the object has; kRefused, with key and attribute named, at the first difference.
[[nodiscard]] Status check_attributes(CK_FUNCTION_LIST* functions, CK_SESSION_HANDLE session,
                                      CK_OBJECT_HANDLE object, const KeyName& name,
                                      const KeyUses& uses, bool with_mechanisms);

// is_for_cmac tells whether an AES key for symbols may sign and not encrypt: see by_cmac.
[[nodiscard]] Result<bool> is_for_cmac(CK_FUNCTION_LIST* functions, CK_SESSION_HANDLE session,
                                       CK_OBJECT_HANDLE object);

// refuses_ecb asks the token in `slot`: kHsm when it has neither CKM_AES_ECB nor CKM_AES_CMAC.
[[nodiscard]] Result<bool> refuses_ecb(CK_FUNCTION_LIST* functions, CK_SLOT_ID slot);

// read_attribute reads one attribute of any length that is not sensitive.
[[nodiscard]] Result<std::vector<std::uint8_t>> read_attribute(CK_FUNCTION_LIST* functions,
                                                               CK_SESSION_HANDLE session,
                                                               CK_OBJECT_HANDLE object,
                                                               CK_ATTRIBUTE_TYPE type);

}  // namespace fugo::hsm
