// A PKCS#11 token in use: logged in, its keys found and checked, bulk AES and single MACs.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"
#include "hsm/health.h"
#include "hsm/key_spec.h"

namespace fugo::hsm {

struct RsaPublicKey;  // recovery_package.h

// TokenSettings says how to reach and use one token.
struct TokenSettings {
  std::filesystem::path module;        // the PKCS#11 library
  std::string uri;                     // RFC 7512: "pkcs11:token=fugo-issuing;serial=..."
  std::filesystem::path pin_file;      // one line; read into wiped memory
  std::filesystem::path softhsm_conf;  // SOFTHSM2_CONF for C_Initialize; empty: left alone
  TokenRole role = TokenRole::kIssuing;
  std::size_t max_bytes_per_call = 256 * 1024;  // of C_Encrypt; the known block included
  std::size_t threads = 0;                      // of bulk evaluation; 0: one a core
  // Every symbol is evaluated in two calls, which must agree: for a device that is not trusted to
  // compute rightly each time. Halves the rate.
  bool evaluate_twice = false;
  // false: the token has no attribute CKA_ALLOWED_MECHANISMS, so it is neither set nor checked, and
  // the token does not hold a key to its one mechanism.
  bool allowed_mechanisms = true;
  // How long a recovery waits for calls that hang, and a caller for a recovery.
  std::chrono::milliseconds call_limit{30'000};
  // The pause after a recovery that failed: the first, and the longest it grows to by doubling.
  std::chrono::milliseconds first_pause{500};
  std::chrono::milliseconds longest_pause{30'000};
};

// Key is a key of the token that was found and whose attributes and fingerprint were checked.
// It is a small value; it is good as long as its Token lives.
struct Key {
  KeyName name;
  std::size_t slot = 0;  // position in the Token's own table of handles
  // Of an AES key for symbols: whether the token encrypts blocks with it. Where it refuses
  // CKM_AES_ECB, the key is one for CKM_AES_CMAC: mac() instead of encrypt(), and no decrypt().
  bool blocks = true;
};

// ExpectedKey is a key of the registry; without a fingerprint only its attributes are checked.
struct ExpectedKey {
  KeyName name;
  std::optional<Block> fingerprint = std::nullopt;
  bool may_be_absent = false;  // a token that does not have it is as good
};

// Fill writes the input blocks of items [first, first + blocks.size()); Drain takes the outputs.
// Both are called from several threads at once, for disjoint ranges. Fill may be called again for
// a range whose call failed; Drain is called once for each range.
using Fill = std::function<void(std::size_t first, std::span<Block> blocks)>;
using Drain = std::function<void(std::size_t first, std::span<const Block> blocks)>;

// Messages writes the messages of items [first, first + messages.size()); as Fill.
using Message = std::array<Block, 2>;
using Messages = std::function<void(std::size_t first, std::span<Message> messages)>;

// KeyUse tells how often a key was evaluated: blocks of AES, or messages of HMAC.
struct KeyUse {
  KeyName key;
  std::uint64_t count = 0;
};

// Token is thread-safe. All errors of the module carry CK_RV by name, with code kHsm; a key whose
// attributes or fingerprint are wrong is kRefused.
//
// A Token comes back by itself. When a call fails in a way that a new session, a login, handles
// looked up anew, or C_Finalize and C_Initialize may help against, one thread does that, and the
// act is repeated: all of them may be. While it does not help, calls fail at once until the next
// attempt is due, see health(). A call that hangs keeps its caller until it comes back; others go
// on, and where they need the module for themselves they fail with kHsm after call_limit.
class Token {
 public:
  // open loads the module (once per process, see Module), finds the token, logs in and keeps one
  // sentinel session open for its life.
  [[nodiscard]] static Result<std::shared_ptr<Token>> open(const TokenSettings& settings);
  virtual ~Token() = default;

  // find_key looks a key up once by CKA_LABEL and CKA_ID, checks every attribute that
  // key_attributes() lists for this role, and the fingerprint when one is given.
  [[nodiscard]] virtual Result<Key> find_key(const KeyName& name,
                                             const std::optional<Block>& fingerprint) = 0;

  // verify_keys checks a whole list for this token's role: keys that it must have as find_key
  // does, and that keys which its role must not have are absent. Every fault found, none when
  // all is well; it goes on after a fault.
  [[nodiscard]] virtual std::vector<Error> verify_keys(std::span<const ExpectedKey> keys) = 0;

  // fingerprint_of evaluates the fingerprint of a key: see key_spec.h. kHsm when it is not that
  // which the key had when it was found.
  [[nodiscard]] virtual Result<Block> fingerprint_of(const Key& key) = 0;

  // encrypt evaluates AES-256 on `count` blocks with CKM_AES_ECB, in calls of at most
  // max_bytes_per_call over several threads. The first and the last block of each call are known;
  // when they do not come out as the key's fingerprint, or the length is not right, nothing of
  // that call reaches `drain`. It is repeated after a recovery; kHsm when that does not help.
  [[nodiscard]] virtual Status encrypt(const Key& key, std::size_t count, const Fill& fill,
                                       const Drain& drain) = 0;
  // kRefused for a key without `blocks`.
  // decrypt is the inverse; for keys that allow it (XTS data key in the linking token).
  [[nodiscard]] virtual Status decrypt(const Key& key, std::size_t count, const Fill& fill,
                                       const Drain& drain) = 0;

  // mac evaluates HMAC-SHA-256 of `count` messages, or CMAC with an AES key that has no `blocks`,
  // one C_Sign each, over several threads, and drains the first 16 bytes. Each few hundred are
  // framed by a known message, in the same session: when it does not come out as the key's
  // fingerprint, none of them reaches `drain`.
  [[nodiscard]] virtual Status mac(const Key& key, std::size_t count, const Messages& fill,
                                   const Drain& drain) = 0;

  // sign is C_Sign with CKM_AES_CMAC, CKM_SHA256_HMAC, or CKM_ECDSA over the SHA-256 of the
  // message (r and s, 32 bytes each), as the key's algorithm says; writes the first to.size()
  // bytes of at most 16, 32 and 64. ECDSA is verified before it is given out; the others are
  // evaluated twice and must agree, and HMAC of a known message must be the key's fingerprint.
  [[nodiscard]] virtual Status sign(const Key& key, ByteView message, MutableByteView to) = 0;

  // unwrap_data_key unwraps (CKM_AES_KEY_WRAP) a ledger data key into wiped memory; twice, and
  // both must agree.
  [[nodiscard]] virtual Result<SecretBytes<32>> unwrap_data_key(const Key& wrap_key,
                                                                ByteView wrapped) = 0;

  // decrypt_oaep opens (CKM_RSA_PKCS_OAEP with SHA-1 and MGF1-SHA-1) what was encrypted to an
  // exchange key, see exchange_key.h; twice, and both must agree. The key is found by its modulus,
  // and its attributes are checked. kRefused when the token has no such key, and when the text is
  // not one that was encrypted to it: the key opens another one at that moment.
  [[nodiscard]] virtual Result<SecretArray<std::uint8_t>> decrypt_oaep(const RsaPublicKey& key,
                                                                       ByteView encrypted) = 0;

  // public_point is CKA_EC_POINT (DER) of the public key that lies beside an EC key, as it was
  // when the key was found; the private key has proved then that it belongs to it.
  [[nodiscard]] virtual Result<std::vector<std::uint8_t>> public_point(const Key& key) = 0;

  // random fills from C_GenerateRandom. kHsm when 16 bytes of it are all zero, or repeat
  // themselves or the end of what was given before.
  [[nodiscard]] virtual Status random(MutableByteView to) = 0;

  // description is what C_GetTokenInfo tells, for status and reports: "SoftHSM v2, label ...".
  [[nodiscard]] virtual std::string description() const = 0;
  // calls is the number of C_Encrypt, C_Decrypt and C_Sign calls made so far.
  [[nodiscard]] virtual std::uint64_t calls() const = 0;
  // evaluated counts what encrypt, decrypt and mac handed out since the token was opened, by key,
  // in order of their names; known blocks and repetitions are left out.
  [[nodiscard]] virtual std::vector<KeyUse> evaluated() const = 0;
  // health copies all counters and the state. Any thread may ask, also while a call hangs.
  [[nodiscard]] virtual Health health() const = 0;
  [[nodiscard]] virtual TokenRole role() const = 0;
};

// finalize_all closes what is left and calls C_Finalize on every loaded module; call it as the
// last thing in main(), when no Token is alive.
void finalize_all();

}  // namespace fugo::hsm
