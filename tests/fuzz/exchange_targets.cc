// Encrypted requests, certificates, and the shares of a recovery key.
#include <fcntl.h>

#include <array>

#include "base/file.h"
#include "daemon/exchange/certificate.h"
#include "daemon/exchange/message.h"
#include "daemon/exchange/sealed_writer.h"
#include "daemon/key_escrow.h"
#include "hsm/key_recovery.h"
#include "tests/fuzz/cursor.h"
#include "tests/fuzz/open_key.h"
#include "tests/fuzz/target.h"

using namespace fugo;
using namespace fugo::daemon;
using namespace fugo::fuzz;

namespace {

// What an input can be encrypted to and signed by: tests/data/exchange.
Certificate known(const char* name) {
  auto read = Certificate::read(std::filesystem::path(FUGO_TEST_DATA) / "exchange" / name);
  must(read.has_value(), "the certificate is there");
  return std::move(*read);
}

Result<ClearBytes> clear_of(ByteView text) {
  ClearBytes clear;
  FUGO_ASSIGN(clear.memory, SecretBuffer::create(std::max<std::size_t>(text.size(), 1)));
  std::copy(text.begin(), text.end(), clear.memory.data());
  clear.size = text.size();
  return clear;
}

void verify(ClearBytes clear) {
  std::vector<Certificate> senders;
  senders.push_back(known("sender.pem"));
  const auto opened = verify_message(std::move(clear), std::move(senders), "f");
  if (opened) reached();
  if (!opened) must(!opened.error().what.empty(), "an error says what");
}

}  // namespace

// The first 32 bytes are the key that the token finds in the message.
FUGO_FUZZ(cms_request) {
  static const std::vector<Certificate> own = [] {
    std::vector<Certificate> one;
    one.push_back(known("recipient.pem"));
    return one;
  }();
  OpenToken token;
  Cursor cursor(input);
  const auto key = cursor.take(token.content_key.size());
  std::copy(key.begin(), key.end(), token.content_key.begin());
  const auto message = cursor.rest();
  (void)looks_encrypted(message);
  auto clear = decrypt_message(message, own, token, "f");
  if (!clear) return;
  must(clear->size <= message.size(), "no longer inside than outside");
  verify(std::move(*clear));
}

FUGO_FUZZ(cms_signed) {
  auto clear = clear_of(input);
  if (clear) verify(std::move(*clear));
}

// A certificate is looked at from all sides, and encrypted to where that may be.
FUGO_FUZZ(certificate) {
  const auto file = as_file(input, ".pem");
  const auto read = Certificate::read(file);
  if (!read) return;
  (void)read->check_valid(1'800'000'000);
  (void)read->may_sign();
  (void)read->not_after();
  must(read->fingerprint().has_value(), "it has a fingerprint");
  const auto key = read->rsa_key();
  must(key.has_value(), "its key can be looked at");
  const auto der = read->der();
  must(der && Certificate::parse(*der, "f").has_value(), "what was read is read again");
  if (!read->may_receive()) return;
  const auto path = folder() / "sealed";
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const auto writer = SealedWriter::create(fd.get(), *der, path);
  if (!writer) return;
  must((*writer)->write(as_bytes("clear text")).has_value(), "a file can be written");
  must((*writer)->finish().has_value(), "and ended");
  reached();
}

// Shares, one after another, with a zero byte between.
FUGO_FUZZ(custodian_share) {
  constexpr std::size_t kMostShares = 6;
  Cursor cursor(input);
  std::vector<std::filesystem::path> shares;
  while (!cursor.at_end() && shares.size() < kMostShares) {
    const auto share = cursor.line(0);
    shares.push_back(put_file("share-" + std::to_string(shares.size()), as_bytes(share)));
  }
  const auto key = join_shares(shares);
  if (!key) return;
  reached();
  must(!key->modulus().empty(), "a key has a modulus");
}

FUGO_FUZZ(recovery_key) {
  const auto key = hsm::RecoveryKey::parse(input, "f");
  if (key) reached();
  if (key) must(key->modulus().size() >= 384, "no short key");
  (void)hsm::RecoveryKey::read(as_file(input));
}
