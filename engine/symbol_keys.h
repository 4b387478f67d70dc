// The keys that make symbols, as one token has them.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "hsm/token.h"
#include "keystore/types.h"

namespace fugo::engine {

// SymbolKeys is every key of the registry that makes symbols and that the token's role has.
// Constant after open, so thread-safe.
class SymbolKeys {
 public:
  // open finds each row's key, unless it is retired, destroyed or still being made, or the role
  // does not have it, with its attributes and fingerprint checked. kRefused when the two keys of an
  // XTS pair are equal (IEEE 1619 clause 5.1: Key1 and Key2); else errors as those of
  // hsm::Token::find_key.
  [[nodiscard]] static Result<SymbolKeys> open(hsm::Token& token,
                                               std::span<const keystore::KeyRow> rows);

  // find gives a key; kRefused when the token's role has none of its purpose, or the registry
  // does not know it.
  [[nodiscard]] Result<hsm::Key> find(const hsm::KeyName& name) const;

  [[nodiscard]] const std::vector<hsm::Key>& keys() const { return keys_; }
  [[nodiscard]] hsm::TokenRole role() const { return role_; }

 private:
  std::vector<hsm::Key> keys_;
  hsm::TokenRole role_ = hsm::TokenRole::kIssuing;
};

}  // namespace fugo::engine
