// The implementation of Token over a PKCS#11 module; private to this layer.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <shared_mutex>

#include "hsm/attributes.h"
#include "hsm/find_token.h"
#include "hsm/recovery_state.h"
#include "hsm/session.h"
#include "hsm/token.h"

namespace fugo::hsm {

[[nodiscard]] Result<std::array<std::uint8_t, 32>> sha256(ByteView bytes);

class Pkcs11Token final : public Token {
 public:
  Pkcs11Token(const TokenSettings& settings, std::shared_ptr<Module> module);
  ~Pkcs11Token() override;

  // start logs in; once, before anything else.
  [[nodiscard]] Status start() { return renew_login(); }

  Result<Key> find_key(const KeyName& name, const std::optional<Block>& fingerprint) override;
  std::vector<Error> verify_keys(std::span<const ExpectedKey> keys) override;
  Result<Block> fingerprint_of(const Key& key) override;
  Status encrypt(const Key& key, std::size_t count, const Fill& fill, const Drain& drain) override;
  Status decrypt(const Key& key, std::size_t count, const Fill& fill, const Drain& drain) override;
  Status mac(const Key& key, std::size_t count, const Messages& fill, const Drain& drain) override;
  Status sign(const Key& key, ByteView message, MutableByteView to) override;
  Result<SecretBytes<32>> unwrap_data_key(const Key& wrap_key, ByteView wrapped) override;
  Result<SecretArray<std::uint8_t>> decrypt_oaep(const RsaPublicKey& key,
                                                 ByteView encrypted) override;
  Status random(MutableByteView to) override;
  Result<std::vector<std::uint8_t>> public_point(const Key& key) override;
  std::string description() const override;
  std::uint64_t calls() const override { return calls_.load(std::memory_order_relaxed); }
  std::vector<KeyUse> evaluated() const override;
  Health health() const override;
  TokenRole role() const override { return settings_.role; }

 private:
  // Entry is a key that was found.
  struct Entry {
    KeyName name;
    KeyUses uses;
    CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
    std::uint64_t epoch = 0;  // of the module, when the handle was found
    Block fingerprint;
    std::vector<std::uint8_t> public_point;  // of an EC key
    // Of an AES key that encrypts: links[0] is kFingerprintInput xor K1, which encrypts to the
    // fingerprint, and each encrypts to the next one. The calls end with them by turns, so that the
    // output of an earlier call does not pass for this one's.
    std::array<Block, 5> links{};
  };
  // signs_blocks: an AES key for symbols in a token that refuses CKM_AES_ECB.
  [[nodiscard]] static bool signs_blocks(const Entry& entry) {
    return entry.name.algorithm == KeyAlgorithm::kAes256 && entry.uses.sign;
  }
  // Direction is one row of encrypt or decrypt: functions, and what the known block becomes.
  struct Direction;

  [[nodiscard]] Result<Entry> entry_of(const Key& key) const;
  [[nodiscard]] Result<Entry> look_up(const KeyName& name, const std::optional<Block>& fingerprint);
  // find_checked turns `uses` into by_cmac() where the object is made for that.
  [[nodiscard]] Result<CK_OBJECT_HANDLE> find_checked(const KeyName& name, KeyUses& uses);
  [[nodiscard]] Status check_key_absent(const KeyName& name);
  // prove_fingerprint evaluates the fingerprint of an entry twice; for an EC key it also has the
  // private key prove that the public point is its own, and keeps that.
  [[nodiscard]] Status prove_fingerprint(Entry& entry);
  [[nodiscard]] Result<Block> encrypt_one(const Entry& entry, const Block& in);
  [[nodiscard]] Result<Block> encrypt_agreed(const Entry& entry, const Block& in);
  [[nodiscard]] Status prove_links(Entry& entry);
  [[nodiscard]] Status prove_public_point(Entry& entry);
  [[nodiscard]] Result<std::vector<std::uint8_t>> read_public_point(const KeyName& name);
  [[nodiscard]] Status bulk(const Key& key, const Direction& direction, std::size_t count,
                            const Fill& fill, const Drain& drain);
  [[nodiscard]] Status bulk_call(const Entry& entry, const Direction& direction,
                                 std::span<Block> blocks, std::size_t link);
  [[nodiscard]] Status mac_share(const Entry& entry, std::span<const Message> messages,
                                 std::span<Block> to);
  [[nodiscard]] Status sign_once(const Entry& entry, ByteView message, MutableByteView to);
  [[nodiscard]] Status sign_twice(const Entry& entry, ByteView message, MutableByteView to);
  [[nodiscard]] Status sign_in(SessionPool::Lease& lease, const Entry& entry, ByteView message,
                               MutableByteView to);
  [[nodiscard]] Result<SecretBytes<32>> unwrap_once(const Entry& entry, ByteView wrapped);
  [[nodiscard]] Status random_once(MutableByteView to);
  [[nodiscard]] Result<SecretArray<std::uint8_t>> decrypt_oaep_once(const RsaPublicKey& key,
                                                                    ByteView encrypted);
  [[nodiscard]] Result<SecretArray<std::uint8_t>> decrypt_oaep_in(SessionPool::Lease& lease,
                                                                  CK_OBJECT_HANDLE key,
                                                                  ByteView encrypted);

  // acquire leases a session in which the handle of `entry` means what it did when it was found.
  [[nodiscard]] Result<SessionPool::Lease> acquire(const Entry& entry);
  // prefill writes what no two calls share into an output buffer: what a call leaves as it was
  // then differs from one evaluation to the next, and is found.
  void prefill(MutableByteView output);
  // check_not_stuck is for a result that is the one of another message.
  [[nodiscard]] Status check_not_stuck(const Entry& entry, ByteView result, ByteView other);
  // count_evaluated adds to evaluated().
  void count_evaluated(const KeyName& key, std::size_t count);
  // wrong_answer counts and describes a result that cannot be right.
  [[nodiscard]] tl::unexpected<Error> wrong_answer(std::string what, std::string where);
  // lock_within is kHsm when the mutex cannot be had within call_limit: a call hangs.
  [[nodiscard]] Result<std::unique_lock<std::timed_mutex>> lock_within(std::timed_mutex& mutex);

  // Depth is how far a recovery goes.
  enum class Depth : std::uint8_t { kSessions, kModule };
  // recover renews sessions, login and handles, and with kModule, or where that does not help, the
  // whole library; one thread at a time, and not before it is due. Nothing if another thread did it
  // since `generation` was read. `why` is what it is for.
  [[nodiscard]] Status recover(std::uint64_t generation, Depth depth, const Error& why);
  [[nodiscard]] Status renew(Depth depth);
  [[nodiscard]] Status renew_login();
  [[nodiscard]] Status renew_handles();
  [[nodiscard]] Status make_usable();

  // with_recovery runs `act`, and again after a recovery when its error calls for that: first of
  // the sessions, then of the module. All that goes through here is safe to repeat.
  template <typename Act>
  auto with_recovery(const Act& act) -> decltype(act()) {
    if (!recovery_.usable()) [[unlikely]]
      FUGO_TRY(make_usable());
    for (const Depth depth : {Depth::kSessions, Depth::kModule}) {
      const std::uint64_t generation = generation_.load();
      auto done = act();
      if (done) recovery_.act_succeeded();
      if (done || !worth_a_recovery(done.error())) return done;
      FUGO_TRY(recover(generation, depth, done.error()));
    }
    auto done = act();
    if (!done && worth_a_recovery(done.error())) recovery_.end_badly(done.error(), true);
    return done;
  }
  [[nodiscard]] static bool worth_a_recovery(const Error& error) {
    return error.code == ErrorCode::kHsm && spoils_session(error.native);
  }

  [[nodiscard]] Result<SecretArray<Block>> take_buffer();
  void give_back(SecretArray<Block> buffer, std::size_t used_blocks);

  // Constant after construction.
  const TokenSettings settings_;
  const std::shared_ptr<Module> module_;
  const std::size_t blocks_per_call_;  // the known blocks included
  const std::size_t threads_;

  SessionPool pool_;
  RecoveryState recovery_;
  std::atomic<std::uint64_t> calls_{0};
  std::atomic<std::uint64_t> wrong_answers_{0};
  std::atomic<std::uint8_t> filler_{0};
  std::atomic<std::size_t> next_link_{0};
  std::atomic<std::uint64_t> generation_{0};  // of the handles

  std::timed_mutex recovery_mutex_;  // taken before admin_mutex_: one recovery at a time
  std::timed_mutex admin_mutex_;     // serialises C_FindObjects and logging in
  Session sentinel_;                 // guarded by admin_mutex_

  mutable std::shared_mutex keys_mutex_;
  std::vector<Entry> keys_;  // guarded by keys_mutex_
  CK_TOKEN_INFO info_;       // guarded by keys_mutex_

  std::mutex buffers_mutex_;
  std::vector<SecretArray<Block>> buffers_;  // guarded by buffers_mutex_

  mutable std::mutex evaluated_mutex_;
  std::map<KeyName, std::uint64_t> evaluated_;  // guarded by evaluated_mutex_

  std::mutex random_mutex_;
  SecretBytes<32> last_random_;  // first and last 16 bytes; guarded by random_mutex_
};

}  // namespace fugo::hsm
