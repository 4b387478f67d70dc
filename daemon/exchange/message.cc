#include "daemon/exchange/message.h"

#include <fmt/format.h>
#include <openssl/asn1t.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>

#include "daemon/exchange/message_shape.h"
#include "daemon/exchange/token_rsa.h"

namespace fugo::daemon {
namespace {

constexpr std::size_t kTagBytes = 16;

// Refusals of one file.
class Refusal {
 public:
  explicit Refusal(const std::filesystem::path& path) : where_(path.string()) {}
  tl::unexpected<Error> operator()(
      std::string what,
      std::string hint = "docs/exchange.md has the commands that make one") const {
    ERR_clear_error();
    return fail(ErrorCode::kRefused, std::move(what), where_, std::move(hint));
  }

 private:
  std::string where_;
};

// type_of tells the kind of a message, and refuses one that would take many times its size in
// memory when it is parsed: nothing of it is authenticated then.
Result<int> type_of(ByteView der, const Refusal& refuse, const char* what) {
  const auto shape = shape_of(der);
  if (!shape) return refuse(std::string(what) + " is not whole, or is no CMS message in DER");
  if (shape->beside > kMostBeside)
    return refuse(fmt::format("{} has {} bytes beside its content, more than the {} that are taken",
                              what, shape->beside, kMostBeside),
                  "encrypt it to few receivers, and put no other certificates into it");
  return shape->type;
}

// scrub_stack overwrites what library calls left of a clear text below this frame.
[[gnu::noinline]] void scrub_stack() {
  constexpr std::size_t kDepth = 64U << 10U;
  std::array<std::uint8_t, kDepth> stack;
  wipe(stack.data(), stack.size());
}

// free_wiped wipes libcrypto's own copy of a content, which it frees as it is.
void free_wiped(CMS_ContentInfo* cms) {
  ASN1_OCTET_STRING** content = CMS_get0_content(cms);
  if (content != nullptr && *content != nullptr && (*content)->data != nullptr)
    wipe((*content)->data, static_cast<std::size_t>((*content)->length));
  scrub_stack();
  CMS_ContentInfo_free(cms);
}

// Parsed is a message whose content is wiped on every way out.
using Parsed = Owned<CMS_ContentInfo, free_wiped>;

Result<Parsed> parse(ByteView der, const Refusal& refuse, const char* what) {
  const unsigned char* at = der.data();
  Parsed cms(d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(der.size())));
  if (!cms) return refuse(std::string(what) + " is not whole, or is no CMS message in DER");
  if (at != der.data() + der.size()) return refuse(std::string(what) + " has bytes behind its end");
  return cms;
}

// is_plain_oaep tells whether a recipient's key was encrypted by RSAES-OAEP with its defaults, the
// only ones that every token has: SHA-1, MGF1 with SHA-1, no label. The hash of OAEP need not
// resist collisions (RFC 8017, B.1), so SHA-1 does no harm here.
bool is_plain_oaep(const X509_ALGOR* algorithm) {
  const ASN1_OBJECT* object = nullptr;
  int type = V_ASN1_UNDEF;
  const void* value = nullptr;
  X509_ALGOR_get0(&object, &type, &value, algorithm);
  if (OBJ_obj2nid(object) != NID_rsaesOaep || type != V_ASN1_SEQUENCE) return false;
  const Owned<RSA_OAEP_PARAMS, RSA_OAEP_PARAMS_free> parameters(static_cast<RSA_OAEP_PARAMS*>(
      ASN1_item_unpack(static_cast<const ASN1_STRING*>(value), ASN1_ITEM_rptr(RSA_OAEP_PARAMS))));
  if (!parameters || parameters->pSourceFunc != nullptr) return false;
  if (parameters->hashFunc != nullptr && OBJ_obj2nid(parameters->hashFunc->algorithm) != NID_sha1)
    return false;
  if (parameters->maskGenFunc == nullptr) return true;
  const Owned<X509_ALGOR, X509_ALGOR_free> mask(static_cast<X509_ALGOR*>(
      ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(X509_ALGOR), parameters->maskGenFunc->parameter)));
  return OBJ_obj2nid(parameters->maskGenFunc->algorithm) == NID_mgf1 && mask &&
         OBJ_obj2nid(mask->algorithm) == NID_sha1;
}

// Recipient is the part of a message that one of our keys opens.
struct Recipient {
  CMS_RecipientInfo* info = nullptr;
  const Certificate* certificate = nullptr;
};

Result<Recipient> find_recipient(CMS_ContentInfo* cms, const std::vector<Certificate>& own,
                                 const Refusal& refuse) {
  STACK_OF(CMS_RecipientInfo)* infos = CMS_get0_RecipientInfos(cms);
  for (int i = 0; infos != nullptr && i < sk_CMS_RecipientInfo_num(infos); ++i) {
    CMS_RecipientInfo* info = sk_CMS_RecipientInfo_value(infos, i);
    if (CMS_RecipientInfo_type(info) != CMS_RECIPINFO_TRANS) continue;
    for (const Certificate& certificate : own) {
      if (CMS_RecipientInfo_ktri_cert_cmp(info, certificate.get()) != 0) continue;
      X509_ALGOR* algorithm = nullptr;
      CMS_RecipientInfo_ktri_get0_algs(info, nullptr, nullptr, &algorithm);
      // PKCS #1 v1.5 is not taken, so that nobody learns anything by trying (Bleichenbacher).
      if (algorithm == nullptr || !is_plain_oaep(algorithm))
        return refuse("its key is not encrypted by RSA-OAEP with SHA-1",
                      "give openssl cms -encrypt the option -keyopt rsa_padding_mode:oaep");
      return Recipient{info, &certificate};
    }
  }
  return refuse(own.empty() ? "this site has no key that requests can be encrypted to"
                            : "is not encrypted to any key of this site",
                own.empty() ? "fugo exchange create makes one"
                            : "encrypt it to the certificate that fugo exchange list shows");
}

// about_text: the token says so of what it was given to open. Everything else (no such key, one
// that was changed, no memory) is wrong with this site, and says nothing of the request.
bool about_text(const Error& error) {
  return error.code == ErrorCode::kRefused && error.where == "C_Decrypt";
}

// check_cipher: what the message says of its cipher and tag is not authenticated by anything but
// the tag itself. Another cipher or a short tag could be put in by anybody (CVE-2026-34182).
Status check_cipher(BIO* chain, const Refusal& refuse) {
  BIO* cipher_bio = BIO_find_type(chain, BIO_TYPE_CIPHER);
  EVP_CIPHER_CTX* context = nullptr;
  if (cipher_bio != nullptr) BIO_get_cipher_ctx(cipher_bio, &context);
  if (context == nullptr) return refuse("its cipher is not known");
  if (EVP_CIPHER_CTX_get_nid(context) != NID_aes_256_gcm ||
      EVP_CIPHER_CTX_get_tag_length(context) != kTagBytes)
    return refuse("its cipher is not AES-256-GCM with a tag of 16 bytes",
                  "give openssl cms -encrypt the option -aes-256-gcm");
  return {};
}

// make_room is memory for a clear text; what can be done about too little is another thing here.
Result<SecretBuffer> make_room(std::size_t size) {
  auto room = SecretBuffer::create(size);
  if (!room && room.error().code == ErrorCode::kRefused)
    room.error().hint =
        "raise the limit (ulimit -l, LimitMEMLOCK=) beyond the size of the largest encrypted "
        "request, lower exchange.largest_mib, or set lock_memory = \"preferred\"";
  return room;
}

// read_clear reads everything into our memory; the tag is compared at the end of it.
Result<ClearBytes> read_clear(BIO* chain, std::size_t most, const Refusal& refuse) {
  ClearBytes clear;
  FUGO_ASSIGN(clear.memory, make_room(most));
  for (;;) {
    constexpr std::size_t kStep = 1U << 20U;
    const auto room = static_cast<int>(std::min(kStep, most - clear.size));
    std::uint8_t beyond = 0;
    const int got = room == 0 ? BIO_read(chain, &beyond, 1)
                              : BIO_read(chain, clear.memory.data() + clear.size, room);
    if (got <= 0) break;
    if (room == 0) return refuse("is longer inside than outside");
    clear.size += static_cast<std::size_t>(got);
  }
  if (BIO_get_cipher_status(BIO_find_type(chain, BIO_TYPE_CIPHER)) <= 0)
    return refuse("was changed on its way: what is inside does not agree with its seal");
  return clear;
}

// check_signer: exactly one, with attributes (a signature over the attributes alone could otherwise
// be shown as one over other content), and with a digest that is not broken.
Result<CMS_SignerInfo*> only_signer(CMS_ContentInfo* cms, const Refusal& refuse) {
  STACK_OF(CMS_SignerInfo)* signers = CMS_get0_SignerInfos(cms);
  if (signers == nullptr || sk_CMS_SignerInfo_num(signers) != 1)
    return refuse("must be signed by exactly one sender");
  CMS_SignerInfo* signer = sk_CMS_SignerInfo_value(signers, 0);
  X509_ALGOR* digest = nullptr;
  CMS_SignerInfo_get0_algs(signer, nullptr, nullptr, &digest, nullptr);
  const int nid = digest == nullptr ? NID_undef : OBJ_obj2nid(digest->algorithm);
  if (nid != NID_sha256 && nid != NID_sha384 && nid != NID_sha512)
    return refuse("is signed with another digest than SHA-256, SHA-384 or SHA-512",
                  "give openssl cms -sign the option -md sha256");
  if (CMS_signed_get_attr_count(signer) <= 0) return refuse("its signature has no attributes");
  return signer;
}

Result<OpenedMessage> copy_content(CMS_ContentInfo* cms, Certificate sender) {
  ASN1_OCTET_STRING** content = CMS_get0_content(cms);
  OpenedMessage opened;
  opened.size = static_cast<std::size_t>((*content)->length);
  FUGO_ASSIGN(opened.memory, make_room(std::max<std::size_t>(opened.size, 1)));
  std::copy_n((*content)->data, opened.size, opened.memory.data());
  opened.sender = std::move(sender);
  return opened;
}

}  // namespace

// SEQUENCE, of more than 127 bytes or of indefinite length: no text begins so.
bool looks_encrypted(ByteView start) {
  return start.size() > 1 && start[0] == 0x30 && start[1] >= 0x80;
}

Result<ClearBytes> decrypt_message(ByteView message, const std::vector<Certificate>& own,
                                   hsm::Token& token, const std::filesystem::path& path) {
  const Refusal refuse(path);
  FUGO_ASSIGN(const int type, type_of(message, refuse, "it"));
  if (type == NID_pkcs7_signed) return refuse("is signed, but not encrypted");
  if (type == NID_pkcs7_enveloped)
    return refuse("is encrypted without authentication (EnvelopedData)",
                  "give openssl cms -encrypt the option -aes-256-gcm");
  if (type != NID_id_smime_ct_authEnvelopedData) return refuse("is another kind of CMS message");
  FUGO_ASSIGN(const Parsed cms, parse(message, refuse, "it"));
  FUGO_ASSIGN(const Recipient recipient, find_recipient(cms.get(), own, refuse));
  FUGO_ASSIGN(auto public_key, recipient.certificate->rsa_key());
  FUGO_ASSIGN(const auto key, TokenRsa::create(token, std::move(public_key)));
  EVP_PKEY_up_ref(key->get());
  const bool opened = CMS_RecipientInfo_set0_pkey(recipient.info, key->get()) == 1 &&
                      CMS_RecipientInfo_decrypt(cms.get(), recipient.info) == 1;
  CMS_RecipientInfo_set0_pkey(recipient.info, nullptr);
  if (!opened && key->error() && !about_text(*key->error()))
    return tl::unexpected<Error>(*key->error());
  if (!opened)
    return refuse(key->error() ? key->error()->what : "its key cannot be opened",
                  "encrypt it to the certificate that fugo exchange list shows");
  const OwnedBio chain(CMS_dataInit(cms.get(), nullptr));
  if (!chain) return refuse("what is inside cannot be decrypted");
  FUGO_TRY(check_cipher(chain.get(), refuse));
  return read_clear(chain.get(), message.size(), refuse);
}

Result<OpenedMessage> verify_message(ClearBytes signed_data, std::vector<Certificate> senders,
                                     const std::filesystem::path& path) {
  const Refusal refuse(path);
  const ByteView inside(signed_data.memory.data(), signed_data.size);
  if (!looks_encrypted(inside))
    return refuse("is encrypted, but what is inside is not signed (CMS in DER)");
  FUGO_ASSIGN(const int type, type_of(inside, refuse, "what is inside"));
  if (type != NID_pkcs7_signed) return refuse("is encrypted, but what is inside is not signed");
  FUGO_ASSIGN(const Parsed cms, parse(inside, refuse, "what is inside"));
  signed_data = {};
  ASN1_OCTET_STRING** content = CMS_get0_content(cms.get());
  if (content == nullptr || *content == nullptr)
    return refuse("the signature does not have the request in it",
                  "give openssl cms -sign the option -nodetach");
  if (OBJ_obj2nid(CMS_get0_eContentType(cms.get())) != NID_pkcs7_data)
    return refuse("what was signed is no data");
  FUGO_ASSIGN(CMS_SignerInfo* const signer, only_signer(cms.get(), refuse));
  const auto known = std::find_if(senders.begin(), senders.end(), [&](const Certificate& sender) {
    return CMS_SignerInfo_cert_cmp(signer, sender.get()) == 0;
  });
  if (known == senders.end())
    return refuse("who signed it is not a known sender",
                  "known senders' certificates are in the folder exchange.senders");
  if (!known->may_sign())
    return refuse("the certificate " + known->name() + " is not one for signatures");
  const auto free_stack = [](STACK_OF(X509) * stack) { sk_X509_free(stack); };
  const std::unique_ptr<STACK_OF(X509), decltype(free_stack)> only(sk_X509_new_null(), free_stack);
  if (!only || sk_X509_push(only.get(), known->get()) == 0)
    return fail(ErrorCode::kInternal, "out of memory", "OpenSSL");
  // The certificate is trusted as it is: no chain, and none of those in the message.
  if (CMS_verify(cms.get(), only.get(), nullptr, nullptr, nullptr,
                 CMS_BINARY | CMS_NOINTERN | CMS_NO_SIGNER_CERT_VERIFY) != 1)
    return refuse("the signature is not that of " + known->name() +
                  ", or what was signed was changed");
  return copy_content(cms.get(), std::move(*known));
}

}  // namespace fugo::daemon
