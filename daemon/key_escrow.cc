#include "daemon/key_escrow.h"

#include <botan/exceptn.h>
#include <botan/system_rng.h>
#include <botan/tss.h>
#include <fmt/format.h>
#include <openssl/cms.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "base/no_passphrase.h"
#include "base/owned.h"
#include "base/secret.h"
#include "base/text.h"
#include "daemon/build_directory.h"

namespace fugo::daemon {
namespace {

namespace fs = std::filesystem;

using OwnedBio = Owned<BIO, BIO_free_all>;
using OwnedKey = Owned<EVP_PKEY, EVP_PKEY_free>;

constexpr std::size_t kMostFileBytes = 64U << 10U;
constexpr unsigned kKeyBits = 3072;
constexpr std::string_view kShareHead = "#fugo-recovery-share,version=1,";
constexpr std::size_t kIdentifierBytes = 16;

tl::unexpected<Error> cannot(const char* what) {
  return fail(ErrorCode::kInternal, what, "recovery key");
}

bool is_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '.' || c == '_' || c == '-';
         });
}

Status check(const Escrow& escrow) {
  std::set<std::string> names;
  for (const auto& holder : escrow.holders)
    if (!is_name(holder.name) || !names.insert(holder.name).second)
      return fail(ErrorCode::kUsage, "custodians must have different names of 0-9A-Za-z._-",
                  "--custodian " + holder.name);
  if (escrow.needed < 2 || escrow.needed > escrow.holders.size() || escrow.holders.size() > 255)
    return fail(ErrorCode::kUsage, "must be 2 or more, and not more than there are custodians",
                "--needed");
  return {};
}

// private_pem and public_pem write a key; the private one into memory that is wiped.
Result<OwnedBio> private_pem(EVP_PKEY* key) {
  OwnedBio out(BIO_new(BIO_s_secmem()));
  if (!out || PEM_write_bio_PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return cannot("cannot encode the private key");
  return out;
}

ByteView content_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {reinterpret_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size)};
}

Result<std::string> public_pem(EVP_PKEY* key) {
  const OwnedBio out(BIO_new(BIO_s_mem()));
  if (!out || PEM_write_bio_PUBKEY(out.get(), key) != 1)
    return cannot("cannot encode the public key");
  const auto text = content_of(out.get());
  return std::string(text.begin(), text.end());
}

// seal_to encrypts to a certificate, as `openssl cms -encrypt -aes-256-gcm` does.
Result<std::string> seal_to(const fs::path& certificate, ByteView secret) {
  FUGO_ASSIGN(const auto pem, read_small(certificate, kMostFileBytes));
  const OwnedBio in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  X509* read = PEM_read_bio_X509(in.get(), nullptr, no_passphrase, nullptr);
  if (read == nullptr)
    return fail(ErrorCode::kUsage, "is no X.509 certificate in PEM", certificate.string());
  const auto free_all = [](STACK_OF(X509) * stack) { sk_X509_pop_free(stack, X509_free); };
  const std::unique_ptr<STACK_OF(X509), decltype(free_all)> to(sk_X509_new_null(), free_all);
  sk_X509_push(to.get(), read);
  const OwnedBio text(BIO_new_mem_buf(secret.data(), static_cast<int>(secret.size())));
  const Owned<CMS_ContentInfo, CMS_ContentInfo_free> sealed(
      CMS_encrypt(to.get(), text.get(), EVP_aes_256_gcm(), CMS_BINARY));
  const OwnedBio out(BIO_new(BIO_s_mem()));
  if (!sealed || PEM_write_bio_CMS_stream(out.get(), sealed.get(), nullptr, CMS_BINARY) != 1)
    return fail(ErrorCode::kUsage, "nothing can be encrypted to this certificate",
                certificate.string(), "an RSA or EC certificate");
  const auto bytes = content_of(out.get());
  return std::string(bytes.begin(), bytes.end());
}

// share_text is the file that a holder will have decrypted: two lines.
Result<SecretBuffer> share_text(const Botan::RTSS_Share& share, const Escrow& escrow,
                                const std::string& name) {
  const auto head = fmt::format("{}needed={},of={},custodian={}\n", kShareHead, escrow.needed,
                                escrow.holders.size(), name);
  std::string digits = share.to_string();
  auto text = SecretBuffer::create(head.size() + digits.size() + 1);
  if (text) {
    auto* at = std::copy(head.begin(), head.end(), text->data());
    *std::copy(digits.begin(), digits.end(), at) = '\n';
  }
  wipe(digits.data(), digits.size());
  return text;
}

Status write_shares(const Escrow& escrow, ByteView secret, const fs::path& to) {
  auto& random = Botan::system_rng();
  std::vector<std::uint8_t> identifier(kIdentifierBytes);
  random.randomize(identifier.data(), identifier.size());
  const auto shares = Botan::RTSS_Share::split(
      escrow.needed, static_cast<std::uint8_t>(escrow.holders.size()), secret.data(),
      static_cast<std::uint16_t>(secret.size()), identifier, "SHA-256", random);
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const auto& holder = escrow.holders[i];
    FUGO_ASSIGN(const auto text, share_text(shares[i], escrow, holder.name));
    FUGO_ASSIGN(const auto sealed, seal_to(holder.certificate, text.bytes()));
    FUGO_TRY(write_durably(to / (holder.name + ".share.p7m"), as_bytes(sealed), 0644));
  }
  return {};
}

Result<OwnedKey> key_for(const fs::path& existing) {
  if (existing.empty()) {
    OwnedKey made(EVP_RSA_gen(kKeyBits));
    if (!made) return cannot("cannot make an RSA key pair");
    return made;
  }
  FUGO_ASSIGN(const auto key, hsm::RecoveryKey::read(existing));
  return OwnedKey(EVP_PKEY_dup(const_cast<EVP_PKEY*>(key.get())));
}

// read_share reads what a holder gives; the text is wiped.
Result<Botan::RTSS_Share> read_share(const fs::path& file) {
  const auto wrong = [&] {
    return fail(ErrorCode::kUsage, "is no share of a recovery key", file.string(),
                "decrypt it first: openssl cms -decrypt -inform PEM -in NAME.share.p7m ...");
  };
  FUGO_ASSIGN(auto text, read_small(file, kMostFileBytes));
  const auto end = text.find('\n');
  std::string digits = end == std::string::npos ? std::string() : text.substr(end + 1);
  while (!digits.empty() && (digits.back() == '\n' || digits.back() == '\r')) digits.pop_back();
  const bool good = text.starts_with(kShareHead) && !digits.empty() && digits.size() % 2 == 0 &&
                    digits.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
  Result<Botan::RTSS_Share> share = wrong();
  if (good) share = Botan::RTSS_Share(digits);
  wipe(digits.data(), digits.size());
  wipe(text.data(), text.size());
  return share;
}

}  // namespace

Status make_escrow(const Escrow& escrow, const fs::path& existing) {
  FUGO_TRY(check(escrow));
  FUGO_ASSIGN(auto build, BuildDirectory::create(escrow.directory));
  FUGO_ASSIGN(const auto key, key_for(existing));
  FUGO_ASSIGN(const auto secret, private_pem(key.get()));
  FUGO_ASSIGN(const auto open, public_pem(key.get()));
  FUGO_TRY(write_shares(escrow, content_of(secret.get()), build.path()));
  FUGO_TRY(write_durably(build.path() / "recovery-public.pem", as_bytes(open), 0644));
  return build.publish();
}

Result<hsm::RecoveryKey> join_shares(const std::vector<fs::path>& files) {
  std::vector<Botan::RTSS_Share> shares;
  for (const auto& file : files) {
    FUGO_ASSIGN(auto share, read_share(file));
    shares.push_back(std::move(share));
  }
  try {
    const auto secret = Botan::RTSS_Share::reconstruct(shares);
    return hsm::RecoveryKey::parse({secret.data(), secret.size()}, "shares");
  } catch (const Botan::Exception& error) {
    return fail(ErrorCode::kUsage, std::string("the shares do not give the key: ") + error.what(),
                "--share", "as many different ones as are needed, of one key");
  }
}

}  // namespace fugo::daemon
