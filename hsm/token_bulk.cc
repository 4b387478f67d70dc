// Bulk AES: calls over several threads, each with a known block at both ends.
#include <algorithm>
#include <cstring>

#include "base/parallel.h"
#include "hsm/pkcs11_token.h"

namespace fugo::hsm {

namespace {
constexpr std::size_t kKnownBlocks = 2;  // the first and the last of each call
}  // namespace

struct Pkcs11Token::Direction {
  CK_C_EncryptInit CK_FUNCTION_LIST::*init;
  CK_C_Encrypt CK_FUNCTION_LIST::*run;
  const char* init_name;
  const char* run_name;
  bool inverse;  // a known block is turned into the one before it
};

Status Pkcs11Token::encrypt(const Key& key, std::size_t count, const Fill& fill,
                            const Drain& drain) {
  static constexpr Direction kEncrypt{&CK_FUNCTION_LIST::C_EncryptInit,
                                      &CK_FUNCTION_LIST::C_Encrypt, "C_EncryptInit", "C_Encrypt",
                                      false};
  return bulk(key, kEncrypt, count, fill, drain);
}

Status Pkcs11Token::decrypt(const Key& key, std::size_t count, const Fill& fill,
                            const Drain& drain) {
  static constexpr Direction kDecrypt{&CK_FUNCTION_LIST::C_DecryptInit,
                                      &CK_FUNCTION_LIST::C_Decrypt, "C_DecryptInit", "C_Decrypt",
                                      true};
  return bulk(key, kDecrypt, count, fill, drain);
}

Status Pkcs11Token::bulk(const Key& key, const Direction& direction, std::size_t count,
                         const Fill& fill, const Drain& drain) {
  // Below this a second thread costs more than it brings.
  static constexpr std::size_t kSmallestShare = 2048;
  const std::size_t share = std::max((count + threads_ - 1) / threads_, kSmallestShare);
  const std::size_t grain = std::min(blocks_per_call_ - kKnownBlocks, share);
  // Buffers of a worker for the whole evaluation, wiped once at its end.
  std::vector<SecretArray<Block>> buffers(threads_);
  std::vector<SecretArray<Block>> second_buffers(threads_);
  const auto work = [&](std::size_t first, std::size_t last, std::size_t worker) -> Status {
    const std::size_t size = last - first + kKnownBlocks;
    const auto evaluate = [&](const Entry& entry, SecretArray<Block>& buffer) -> Status {
      if (buffer.size() == 0) {
        FUGO_ASSIGN(buffer, take_buffer());
      }
      const auto blocks = buffer.span().first(size);
      const std::size_t link =
          next_link_.fetch_add(1, std::memory_order_relaxed) % (entry.links.size() - 1);
      blocks.front() = entry.links[direction.inverse ? 1 : 0];
      blocks.back() = entry.links[direction.inverse ? link + 1 : link];
      fill(first, blocks.subspan(1, size - kKnownBlocks));
      return bulk_call(entry, direction, blocks, link);
    };
    auto& buffer = buffers[worker];
    auto& second = second_buffers[worker];
    FUGO_TRY(with_recovery([&]() -> Status {
      FUGO_ASSIGN(const auto entry, entry_of(key));
      if (signs_blocks(entry))
        return fail(ErrorCode::kRefused, "this token does not encrypt blocks with this key",
                    key_label(entry.name),
                    "it refuses CKM_AES_ECB: use methods that CKM_AES_CMAC can evaluate");
      FUGO_TRY(evaluate(entry, buffer));
      if (!settings_.evaluate_twice) return {};
      FUGO_TRY(evaluate(entry, second));
      if (std::memcmp(buffer.data(), second.data(), (size - 1) * sizeof(Block)) == 0) return {};
      return wrong_answer("the same blocks gave two results", key_label(entry.name));
    }));
    drain(first, std::span<const Block>(buffer.data() + 1, size - kKnownBlocks));
    return {};
  };
  auto done = parallel_ranges(count, grain, threads_, work);
  for (auto* some : {&buffers, &second_buffers})
    for (auto& buffer : *some)
      if (buffer.size() != 0) give_back(std::move(buffer), std::min(grain, count) + kKnownBlocks);
  if (done) count_evaluated(key.name, count);
  return done;
}

Status Pkcs11Token::bulk_call(const Entry& entry, const Direction& direction,
                              std::span<Block> blocks, std::size_t link) {
  FUGO_ASSIGN(auto lease, acquire(entry));
  CK_FUNCTION_LIST* functions = lease.functions();
  CK_MECHANISM mechanism{CKM_AES_ECB, nullptr, 0};
  FUGO_TRY(lease.check((functions->*direction.init)(lease.handle(), &mechanism, entry.handle),
                       direction.init_name));
  // In place: PKCS#11 2.40 section 5.8, "the plaintext and ciphertext can be in the same place".
  auto* data = reinterpret_cast<CK_BYTE*>(blocks.data());
  CK_ULONG size = blocks.size_bytes();
  const CK_RV rv = (functions->*direction.run)(lease.handle(), data, size, data, &size);
  calls_.fetch_add(1, std::memory_order_relaxed);
  if (rv != CKR_OK) lease.spoil();  // the operation may still be active
  FUGO_TRY(lease.check(rv, direction.run_name));
  const Block& front = entry.links[direction.inverse ? 0 : 1];
  const Block& back = entry.links[direction.inverse ? link : link + 1];
  if (size == blocks.size_bytes() && equal_in_constant_time(blocks.front().bytes, front.bytes) &&
      equal_in_constant_time(blocks.back().bytes, back.bytes)) [[likely]]
    return {};
  lease.spoil();
  if (size != blocks.size_bytes())
    return wrong_answer("the token gave another number of blocks than it was given",
                        direction.run_name);
  return wrong_answer("the known blocks did not come out as the key's fingerprint",
                      key_label(entry.name));
}

void Pkcs11Token::count_evaluated(const KeyName& key, std::size_t count) {
  const std::lock_guard lock(evaluated_mutex_);
  evaluated_[key] += count;
}

std::vector<KeyUse> Pkcs11Token::evaluated() const {
  const std::lock_guard lock(evaluated_mutex_);
  std::vector<KeyUse> uses;
  for (const auto& [key, count] : evaluated_) uses.push_back({key, count});
  return uses;
}

Result<SecretArray<Block>> Pkcs11Token::take_buffer() {
  {
    const std::lock_guard lock(buffers_mutex_);
    if (!buffers_.empty()) {
      auto buffer = std::move(buffers_.back());
      buffers_.pop_back();
      return buffer;
    }
  }
  return SecretArray<Block>::create(blocks_per_call_);
}

void Pkcs11Token::give_back(SecretArray<Block> buffer, std::size_t used_blocks) {
  wipe(buffer.data(), used_blocks * sizeof(Block));
  const std::lock_guard lock(buffers_mutex_);
  buffers_.push_back(std::move(buffer));
}

}  // namespace fugo::hsm
