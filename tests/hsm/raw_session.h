// PKCS#11 without Token in between: what somebody with the PIN could try.
#pragma once

#include <algorithm>
#include <vector>

#include "hsm/attributes.h"
#include "hsm/find_token.h"
#include "hsm/session.h"
#include "hsm/token.h"
#include "tests/hsm/token_fixture.h"

namespace fugo::hsm::testing {

// open_raw opens a read-write session as user.
[[nodiscard]] inline Result<Session> open_raw(const TokenSettings& settings) {
  FUGO_ASSIGN(auto pin, Pin::read(settings.pin_file));
  FUGO_ASSIGN(auto module, Module::open(settings.module, settings.softhsm_conf));
  FUGO_ASSIGN(const auto found, find_token(*module, settings.uri));
  FUGO_ASSIGN(auto session,
              Session::open(std::move(module), found.slot, Session::Access::kReadWrite));
  FUGO_TRY(session.login(CKU_USER, pin));
  return session;
}

// import_key is C_CreateObject of a secret key with `value` and all of `name`'s attributes for
// `uses`, but with the flags of `flipped` the other way round. Its mechanisms are `mechanisms`, or
// without any what the uses say, where the device keeps them.
[[nodiscard]] inline Result<CK_OBJECT_HANDLE> import_key(
    Session& session, const KeyName& name, const KeyUses& uses, ByteView value,
    const std::vector<CK_ATTRIBUTE_TYPE>& flipped = {},
    const std::vector<CK_MECHANISM_TYPE>& mechanisms = {}) {
  Template made;
  made.number(CKA_CLASS, CKO_SECRET_KEY)
      .number(CKA_KEY_TYPE, type_of(name.algorithm))
      .bytes(CKA_LABEL, as_bytes(key_label(name)))
      .bytes(CKA_ID, key_id(name))
      .bytes(CKA_VALUE, value);
  const auto own = mechanisms_of(name.algorithm, uses);
  if (abilities().keeps_allowed_mechanisms || !mechanisms.empty())
    made.mechanisms(mechanisms.empty() ? own : mechanisms);
  for (const FlagRule& rule : flag_rules(name.algorithm, uses)) {
    const bool flip = std::find(flipped.begin(), flipped.end(), rule.type) != flipped.end();
    made.flag(rule.type, rule.value != flip);
  }
  CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
  FUGO_CK(session.functions(), C_CreateObject, session.handle(), made.data(), made.size(), &object);
  return object;
}

}  // namespace fugo::hsm::testing
