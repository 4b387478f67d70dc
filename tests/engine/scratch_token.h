// Scratch tokens for the engine's tests: SoftHSM tokens whose keys have known bytes, so that other
// implementations can compute the same symbols.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "hsm/token.h"
#include "keystore/types.h"

namespace fugo::testing {

// ImportedKey is a key with known bytes.
struct ImportedKey {
  hsm::KeyName name;
  std::vector<std::uint8_t> value;
};

// ScratchToken is one new token of hsm::testing::shared_directory(), so it must not outlive the
// tests. Its functions throw std::runtime_error: a test cannot go on without them.
class ScratchToken {
 public:
  // The keys are imported with exactly the attributes that a ceremony leaves, those that `role`
  // must not have are left out.
  ScratchToken(hsm::TokenRole role, const std::vector<ImportedKey>& keys,
               std::size_t max_bytes_per_call = 256 * 1024);

  [[nodiscard]] const std::shared_ptr<hsm::Token>& token() const { return token_; }
  // rows is the key registry, fingerprints computed by OpenSSL; for all keys, whatever the role.
  [[nodiscard]] const std::vector<keystore::KeyRow>& rows() const { return rows_; }

  // cmac is C_Sign with CKM_AES_CMAC over `count` messages of 32 bytes, under a session object
  // with the bytes `key`, by `threads` threads; messages(i) and tags(i) are called by several.
  void cmac(const std::vector<std::uint8_t>& key, std::size_t count, std::size_t threads,
            const std::function<void(std::size_t, std::uint8_t* message)>& message,
            const std::function<void(std::size_t, const Block& tag)>& tag) const;

 private:
  hsm::TokenSettings settings_;
  std::shared_ptr<hsm::Token> token_;
  std::vector<keystore::KeyRow> rows_;
};

}  // namespace fugo::testing
