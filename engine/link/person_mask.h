// PersonMask: handles of people that mean nothing outside of one Linking.
#pragma once

#include <array>

#include "base/result.h"
#include "base/secret.h"
#include "engine/link/linking.h"
#include "keystore/types.h"

namespace fugo::engine {

// PersonMask turns ids into handles and back by two random keys of its own. Thread-safe.
class PersonMask {
 public:
  PersonMask();  // draws the keys

  [[nodiscard]] PersonHandle hide(keystore::PersonId id) const;
  // show gives kNoPerson for what this mask did not hide.
  [[nodiscard]] keystore::PersonId show(const PersonHandle& handle) const;

 private:
  [[nodiscard]] std::uint64_t tag_of(std::uint64_t id) const;
  [[nodiscard]] std::uint64_t pad_of(std::uint64_t tag) const;

  SecretBytes<16> tag_key_, pad_key_;  // of SipHash-2-4
};

}  // namespace fugo::engine
