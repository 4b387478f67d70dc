#include "daemon/exchange/sealed_writer.h"

#include <openssl/err.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/file.h"
#include "daemon/exchange/certificate.h"
#include "daemon/exchange/openssl.h"

namespace fugo::daemon {
namespace {

constexpr int kBufferBytes = 64 << 10;

Result<OwnedCms> make_message(const Certificate& certificate, const std::string& where) {
  constexpr unsigned kFlags = CMS_BINARY | CMS_STREAM | CMS_PARTIAL;
  const auto refuse = [&where] {
    ERR_clear_error();
    return fail(ErrorCode::kRefused, "nothing can be encrypted to the agency's certificate", where,
                "fugo agency certificate puts another in its place");
  };
  OwnedCms cms(CMS_encrypt(nullptr, nullptr, EVP_aes_256_gcm(), kFlags));
  if (!cms) return refuse();
  const bool rsa = EVP_PKEY_is_a(X509_get0_pubkey(certificate.get()), "RSA") == 1;
  CMS_RecipientInfo* recipient =
      CMS_add1_recipient_cert(cms.get(), certificate.get(), kFlags | (rsa ? CMS_KEY_PARAM : 0U));
  if (recipient == nullptr) return refuse();
  if (!rsa) return cms;
  EVP_PKEY_CTX* context = CMS_RecipientInfo_get0_pkey_ctx(recipient);
  if (context == nullptr || EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) != 1 ||
      EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()) != 1)
    return refuse();
  return cms;
}

}  // namespace

// Chain is what the clear text runs through: the message's own filters, then a digest, a buffer
// and the file.
struct SealedWriter::Chain {
  OwnedCms cms;
  OwnedBio out;            // digest, buffer, file
  BIO* digest = nullptr;   // in `out`
  BIO* message = nullptr;  // filters in front of `out`; null when they were taken away

  // unchain frees the filters, which are not of `out`.
  void unchain() {
    while (message != nullptr && message != out.get()) {
      BIO* next = BIO_pop(message);
      BIO_free(message);
      message = next;
    }
    message = nullptr;
  }
  Chain() = default;
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;
  ~Chain() { unchain(); }
};

SealedWriter::SealedWriter() : chain_(std::make_unique<Chain>()) {}
SealedWriter::~SealedWriter() = default;

Result<std::unique_ptr<SealedWriter>> SealedWriter::create(int fd, ByteView certificate_der,
                                                           std::filesystem::path path_for_error) {
  std::unique_ptr<SealedWriter> writer(new SealedWriter());
  writer->path_ = std::move(path_for_error);
  const std::string where = writer->path_.string();
  FUGO_ASSIGN(const auto certificate, Certificate::parse(certificate_der, where));
  Chain& chain = *writer->chain_;
  FUGO_ASSIGN(chain.cms, make_message(certificate, where));
  BIO *file = BIO_new_fd(fd, BIO_NOCLOSE), *buffer = BIO_new(BIO_f_buffer());
  chain.digest = BIO_new(BIO_f_md());
  if (file == nullptr || buffer == nullptr || chain.digest == nullptr)
    return fail(ErrorCode::kInternal, "out of memory", "OpenSSL");
  chain.out.reset(BIO_push(chain.digest, BIO_push(buffer, file)));
  if (BIO_set_md(chain.digest, EVP_sha256()) != 1 ||
      BIO_set_write_buffer_size(buffer, kBufferBytes) != 1)
    return fail(ErrorCode::kInternal, "SHA-256 failed", "OpenSSL");
  chain.message = BIO_new_CMS(chain.out.get(), chain.cms.get());
  if (chain.message == nullptr) return writer->cannot_write();
  return writer;
}

tl::unexpected<Error> SealedWriter::cannot_write() const {
  ERR_clear_error();
  return fail_errno("cannot write", path_.string(), errno);
}

Status SealedWriter::write(ByteView clear) {
  errno = 0;
  while (!clear.empty()) {
    const int done = BIO_write(chain_->message, clear.data(), static_cast<int>(clear.size()));
    if (done <= 0) return cannot_write();
    clear = clear.subspan(static_cast<std::size_t>(done));
  }
  return {};
}

Result<std::array<std::uint8_t, 32>> SealedWriter::finish() {
  errno = 0;
  if (BIO_flush(chain_->message) != 1) return cannot_write();
  chain_->unchain();
  if (BIO_flush(chain_->out.get()) != 1) return cannot_write();
  std::array<std::uint8_t, 32> digest{};
  if (BIO_gets(chain_->digest, reinterpret_cast<char*>(digest.data()), digest.size()) !=
      static_cast<int>(digest.size()))
    return fail(ErrorCode::kInternal, "SHA-256 failed", "OpenSSL");
  return digest;
}

bool is_sealed_to(const std::filesystem::path& file, ByteView certificate_der) {
  constexpr std::size_t kHeadBytes = 32U << 10U;  // a certificate has 16 KiB at most
  const auto certificate = Certificate::parse(certificate_der, file.string());
  const auto message = MappedFile::open(file);
  if (!certificate || !message) return false;
  const OwnedBio out(BIO_new(BIO_s_mem()));
  const X509* x509 = certificate->get();
  if (!out ||
      ASN1_item_i2d_bio(ASN1_ITEM_rptr(X509_NAME), out.get(), X509_get_issuer_name(x509)) != 1 ||
      ASN1_item_i2d_bio(ASN1_ITEM_rptr(ASN1_INTEGER), out.get(), X509_get0_serialNumber(x509)) != 1)
    return false;
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  const ByteView head = message->bytes().first(std::min<std::size_t>(message->size(), kHeadBytes));
  const std::string_view name(data, static_cast<std::size_t>(size));
  return as_text(head).find(name) != std::string_view::npos;
}

}  // namespace fugo::daemon
