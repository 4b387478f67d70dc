// Message authentication codes and signatures: one call each.
#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "base/parallel.h"
#include "hsm/ec_check.h"
#include "hsm/pkcs11_token.h"

namespace fugo::hsm {
namespace {

// Signer is how keys of one algorithm sign.
struct Signer {
  KeyAlgorithm algorithm;
  CK_MECHANISM_TYPE mechanism;
  std::size_t output_size;
  bool digest_first;
};
constexpr std::array kSigners = {
    Signer{KeyAlgorithm::kAes256, CKM_AES_CMAC, 16, false},
    Signer{KeyAlgorithm::kHmacSha256, CKM_SHA256_HMAC, 32, false},
    Signer{KeyAlgorithm::kEcP256, CKM_ECDSA, 64, true},
};

// Messages between two known ones; the more, the less those cost and the more a fault throws away.
constexpr std::size_t kMacShare = 256;

}  // namespace

Result<std::array<std::uint8_t, 32>> sha256(ByteView bytes) {
  std::array<std::uint8_t, 32> digest{};
  unsigned size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1)
    return fail(ErrorCode::kInternal, "SHA-256 failed", "EVP_Digest");
  return digest;
}

Status Pkcs11Token::mac(const Key& key, std::size_t count, const Messages& fill,
                        const Drain& drain) {
  if (key.name.algorithm != KeyAlgorithm::kHmacSha256 && key.blocks)
    return fail(ErrorCode::kInternal, "no key for HMAC or CMAC", key_label(key.name));
  // A buffer holds the messages, two blocks each, and their results.
  const std::size_t grain = std::clamp<std::size_t>(blocks_per_call_ / 3, 1, kMacShare);
  std::vector<SecretArray<Block>> buffers(threads_);
  const auto work = [&](std::size_t first, std::size_t last, std::size_t worker) -> Status {
    if (buffers[worker].size() == 0) {
      FUGO_ASSIGN(buffers[worker], take_buffer());
    }
    const std::size_t size = last - first;
    const std::span messages(reinterpret_cast<Message*>(buffers[worker].data()), size);
    const auto results = buffers[worker].span().subspan(2 * size, size);
    fill(first, messages);
    FUGO_TRY(with_recovery([&]() -> Status {
      FUGO_ASSIGN(const auto entry, entry_of(key));
      return mac_share(entry, messages, results);
    }));
    drain(first, results);
    return {};
  };
  auto done = parallel_ranges(count, grain, threads_, work);
  for (auto& buffer : buffers)
    if (buffer.size() != 0) give_back(std::move(buffer), 3 * std::min(grain, count));
  if (done) count_evaluated(key.name, count);
  return done;
}

Status Pkcs11Token::mac_share(const Entry& entry, std::span<const Message> messages,
                              std::span<Block> to) {
  FUGO_ASSIGN(auto lease, acquire(entry));
  const auto check_known = [&]() -> Status {
    Block known;
    FUGO_TRY(sign_in(lease, entry, kFingerprintInput.bytes, known.bytes));
    if (equal_in_constant_time(known.bytes, entry.fingerprint.bytes)) return {};
    lease.spoil();
    return wrong_answer("the known message did not come out as the key's fingerprint",
                        key_label(entry.name));
  };
  FUGO_TRY(check_known());
  SecretBytes<16> again;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const ByteView message(messages[i].front().bytes.data(), sizeof(Message));
    FUGO_TRY(sign_in(lease, entry, message, to[i].bytes));
    FUGO_TRY(check_not_stuck(entry, to[i].bytes, entry.fingerprint.bytes));
    if (i != 0 && messages[i] != messages[i - 1])
      FUGO_TRY(check_not_stuck(entry, to[i].bytes, to[i - 1].bytes));
    if (!settings_.evaluate_twice) continue;
    FUGO_TRY(sign_in(lease, entry, message, again.bytes()));
    if (!equal_in_constant_time(to[i].bytes, again.bytes())) {
      lease.spoil();
      return wrong_answer("one message gave two results", key_label(entry.name));
    }
  }
  return check_known();
}

Status Pkcs11Token::check_not_stuck(const Entry& entry, ByteView result, ByteView other) {
  if (!equal_in_constant_time(result, other)) [[likely]]
    return {};
  return wrong_answer("two messages gave one result", key_label(entry.name));
}

Status Pkcs11Token::sign(const Key& key, ByteView message, MutableByteView to) {
  return with_recovery([&]() -> Status {
    FUGO_ASSIGN(const auto entry, entry_of(key));
    SecretBytes<64> full;
    if (to.size() > full.size())
      return fail(ErrorCode::kInternal, "a signature is not that long", key_label(entry.name));
    if (entry.name.algorithm != KeyAlgorithm::kEcP256) {
      FUGO_TRY(sign_twice(entry, message, full.bytes().first(to.size())));
    } else {
      FUGO_TRY(sign_once(entry, message, full.bytes()));
      FUGO_ASSIGN(const bool right, verify_p256(entry.public_point, message, full.bytes()));
      if (!right) return wrong_answer("the signature does not verify", key_label(entry.name));
    }
    std::copy_n(full.data(), to.size(), to.begin());
    return {};
  });
}

Status Pkcs11Token::sign_twice(const Entry& entry, ByteView message, MutableByteView to) {
  SecretBytes<64> again;
  const auto second = again.bytes().first(to.size());
  FUGO_TRY(sign_once(entry, message, to));
  FUGO_TRY(sign_once(entry, message, second));
  if (!equal_in_constant_time(to, second))
    return wrong_answer("one message gave two results", key_label(entry.name));
  if (entry.name.algorithm != KeyAlgorithm::kHmacSha256) return {};
  if (to.size() >= sizeof(Block) && !equal_in_constant_time(message, kFingerprintInput.bytes))
    FUGO_TRY(check_not_stuck(entry, ByteView(to).first(sizeof(Block)), entry.fingerprint.bytes));
  const auto known = again.bytes().first(sizeof(Block));
  FUGO_TRY(sign_once(entry, kFingerprintInput.bytes, known));
  if (equal_in_constant_time(known, entry.fingerprint.bytes)) return {};
  return wrong_answer("the known message did not come out as the key's fingerprint",
                      key_label(entry.name));
}

Status Pkcs11Token::sign_once(const Entry& entry, ByteView message, MutableByteView to) {
  FUGO_ASSIGN(auto lease, acquire(entry));
  return sign_in(lease, entry, message, to);
}

Status Pkcs11Token::sign_in(SessionPool::Lease& lease, const Entry& entry, ByteView message,
                            MutableByteView to) {
  const auto* signer = std::find_if(kSigners.begin(), kSigners.end(), [&](const Signer& row) {
    return row.algorithm == entry.name.algorithm;
  });
  if (signer == kSigners.end() || to.size() > signer->output_size)
    return fail(ErrorCode::kInternal, "a signature is not that long", key_label(entry.name));
  std::array<std::uint8_t, 32> digest{};
  if (signer->digest_first) {
    FUGO_ASSIGN(digest, sha256(message));
    message = digest;
  }
  CK_MECHANISM mechanism{signer->mechanism, nullptr, 0};
  FUGO_TRY(lease.check(lease.functions()->C_SignInit(lease.handle(), &mechanism, entry.handle),
                       "C_SignInit"));
  SecretBytes<64> output;
  prefill(output.bytes());
  CK_ULONG size = output.size();
  // C_Sign takes its input without const, and does not write to it.
  const CK_RV rv = lease.functions()->C_Sign(lease.handle(), const_cast<CK_BYTE*>(message.data()),
                                             message.size(), output.data(), &size);
  calls_.fetch_add(1, std::memory_order_relaxed);
  if (rv != CKR_OK || size != signer->output_size) lease.spoil();
  FUGO_TRY(lease.check(rv, "C_Sign"));
  if (size != signer->output_size)
    return wrong_answer("the token gave a signature of the wrong length", "C_Sign");
  std::copy_n(output.data(), to.size(), to.begin());
  return {};
}

}  // namespace fugo::hsm
