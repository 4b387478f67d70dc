#include "engine/link/person_mask.h"

#include <sodium.h>

namespace fugo::engine {
namespace {

std::uint64_t siphash(const SecretBytes<16>& key, std::uint64_t value) {
  static_assert(crypto_shorthash_BYTES == 8 && crypto_shorthash_KEYBYTES == 16);
  std::uint64_t hash = 0;
  crypto_shorthash(reinterpret_cast<unsigned char*>(&hash),
                   reinterpret_cast<const unsigned char*>(&value), sizeof value, key.data());
  return hash;
}

}  // namespace

PersonMask::PersonMask() {
  // Without sodium_init, libsodium reads /dev/urandom or getrandom all the same.
  randombytes_buf(tag_key_.data(), tag_key_.size());
  randombytes_buf(pad_key_.data(), pad_key_.size());
}

std::uint64_t PersonMask::tag_of(std::uint64_t id) const { return siphash(tag_key_, id); }
std::uint64_t PersonMask::pad_of(std::uint64_t tag) const { return siphash(pad_key_, tag); }

PersonHandle PersonMask::hide(keystore::PersonId id) const {
  const std::uint64_t tag = tag_of(id);
  return {{tag, pad_of(tag) ^ id}};
}

keystore::PersonId PersonMask::show(const PersonHandle& handle) const {
  const std::uint64_t id = pad_of(handle.opaque[0]) ^ handle.opaque[1];
  if (id >= keystore::kNoPerson || tag_of(id) != handle.opaque[0]) return keystore::kNoPerson;
  return static_cast<keystore::PersonId>(id);
}

}  // namespace fugo::engine
