// The implementation of Token over a PKCS#11 module; private to this layer.
#pragma once

#include <atomic>
#include <mutex>
#include <shared_mutex>

#include "hsm/attributes.h"
#include "hsm/find_token.h"
#include "hsm/session.h"
#include "hsm/token.h"

namespace fugo::hsm {

class Pkcs11Token final : public Token {
 public:
  Pkcs11Token(const TokenSettings& settings, std::shared_ptr<Module> module,
              const FoundToken& found);
  ~Pkcs11Token() override;

  // start opens the sentinel session and logs in; once, before anything else.
  [[nodiscard]] Status start();

  Result<Key> find_key(const KeyName& name, const std::optional<Block>& fingerprint) override;
  std::vector<Error> verify_keys(std::span<const ExpectedKey> keys) override;
  Result<Block> fingerprint_of(const Key& key) override;
  Status encrypt(const Key& key, std::size_t count, const Fill& fill, const Drain& drain) override;
  Status decrypt(const Key& key, std::size_t count, const Fill& fill, const Drain& drain) override;
  Status sign(const Key& key, ByteView message, MutableByteView to) override;
  Result<SecretBytes<32>> unwrap_data_key(const Key& wrap_key, ByteView wrapped) override;
  Status random(MutableByteView to) override;
  Result<std::vector<std::uint8_t>> public_point(const Key& key) override;
  std::string description() const override { return describe(info_); }
  std::uint64_t calls() const override { return calls_.load(std::memory_order_relaxed); }
  Health health() const override;
  TokenRole role() const override { return settings_.role; }

 private:
  // Entry is a key that was found.
  struct Entry {
    KeyName name;
    KeyUses uses;
    CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
    Block fingerprint;
  };
  // Direction is one row of encrypt or decrypt: functions, and what the known block becomes.
  struct Direction;

  [[nodiscard]] Result<Entry> entry_of(const Key& key) const;
  [[nodiscard]] Result<Entry> look_up(const KeyName& name, const std::optional<Block>& fingerprint);
  [[nodiscard]] Result<Block> evaluate_fingerprint(const Entry& entry);
  [[nodiscard]] Result<Block> ec_fingerprint(const Entry& entry);
  [[nodiscard]] Result<std::vector<std::uint8_t>> read_public_point(const KeyName& name);
  [[nodiscard]] Status bulk(const Key& key, const Direction& direction, std::size_t count,
                            const Fill& fill, const Drain& drain);
  [[nodiscard]] Status bulk_call(const Entry& entry, const Direction& direction,
                                 std::span<Block> blocks);
  [[nodiscard]] Status sign_once(const Entry& entry, ByteView message, MutableByteView to);
  [[nodiscard]] Result<SecretBytes<32>> unwrap_once(const Entry& entry, ByteView wrapped);

  // recover logs in and looks all handles up again, unless another thread did so since
  // `generation` was read.
  [[nodiscard]] Status recover(std::uint64_t generation);
  // with_recovery runs `act`, and once more after recover() when its error calls for that. All
  // that goes through here is safe to repeat.
  template <typename Act>
  auto with_recovery(const Act& act) -> decltype(act()) {
    const std::uint64_t generation = generation_.load();
    auto done = act();
    if (done || done.error().code != ErrorCode::kHsm || !spoils_session(done.error().native))
      return done;
    FUGO_TRY(recover(generation));
    return act();
  }

  [[nodiscard]] Result<SecretArray<Block>> take_buffer();
  void give_back(SecretArray<Block> buffer, std::size_t used_blocks);

  // Constant after construction.
  const TokenSettings settings_;
  const std::shared_ptr<Module> module_;
  const CK_SLOT_ID slot_;
  const CK_TOKEN_INFO info_;
  const std::size_t blocks_per_call_;  // the known block included
  const std::size_t threads_;

  SessionPool pool_;
  std::atomic<std::uint64_t> calls_{0};
  std::atomic<std::uint64_t> generation_{0};

  std::mutex recovery_mutex_;  // taken before admin_mutex_: one recovery at a time
  std::mutex admin_mutex_;     // serialises C_FindObjects and logging in
  Session sentinel_;           // guarded by admin_mutex_

  mutable std::shared_mutex keys_mutex_;
  std::vector<Entry> keys_;  // guarded by keys_mutex_

  std::mutex buffers_mutex_;
  std::vector<SecretArray<Block>> buffers_;  // guarded by buffers_mutex_
};

}  // namespace fugo::hsm
