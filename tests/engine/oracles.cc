#include "oracles.h"

#include <botan/cipher_mode.h>
#include <botan/mac.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <stdexcept>

#include "base/text.h"

namespace fugo::testing {
namespace {

void must(bool done, const char* what) {
  if (!done) throw std::runtime_error(what);
}

}  // namespace

Bytes from_hex(std::string_view digits) {
  const auto bytes = unhex(digits);
  must(bytes.has_value(), "not hexadecimal");
  return {bytes->begin(), bytes->end()};
}

Block block_from_hex(std::string_view digits) { return one_block(from_hex(digits)); }

Bytes joined(ByteView a, ByteView b) {
  Bytes both(a.begin(), a.end());
  both.insert(both.end(), b.begin(), b.end());
  return both;
}

Block one_block(ByteView bytes) {
  must(bytes.size() >= 16, "less than a block");
  Block block;
  std::copy_n(bytes.begin(), 16, block.bytes.begin());
  return block;
}

Block openssl_ecb(const Bytes& key, const Block& input) {
  const std::shared_ptr<EVP_CIPHER_CTX> context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  Block out;
  int size = 0;
  must(EVP_EncryptInit_ex(context.get(), EVP_aes_256_ecb(), nullptr, key.data(), nullptr) == 1 &&
           EVP_CIPHER_CTX_set_padding(context.get(), 0) == 1 &&
           EVP_EncryptUpdate(context.get(), out.bytes.data(), &size, input.bytes.data(), 16) == 1,
       "OpenSSL ECB");
  return out;
}

OpenSslMac::OpenSslMac(const char* name, const char* parameter, const char* value,
                       const Bytes& key) {
  const std::unique_ptr<EVP_MAC, decltype(&EVP_MAC_free)> mac(EVP_MAC_fetch(nullptr, name, nullptr),
                                                              EVP_MAC_free);
  const std::shared_ptr<EVP_MAC_CTX> context(EVP_MAC_CTX_new(mac.get()), EVP_MAC_CTX_free);
  std::string text(value);
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(parameter, text.data(), text.size()),
      OSSL_PARAM_construct_end()};
  must(EVP_MAC_init(context.get(), key.data(), key.size(), parameters) == 1, "EVP_MAC_init");
  context_ = context;
}

Block OpenSslMac::operator()(ByteView message) const {
  auto* const context = static_cast<EVP_MAC_CTX*>(context_.get());
  std::uint8_t tag[EVP_MAX_MD_SIZE];
  std::size_t size = 0;
  must(EVP_MAC_init(context, nullptr, 0, nullptr) == 1 &&
           EVP_MAC_update(context, message.data(), message.size()) == 1 &&
           EVP_MAC_final(context, tag, &size, sizeof tag) == 1,
       "OpenSSL MAC");
  return one_block({tag, size});
}

BotanMac::BotanMac(const char* name, const Bytes& key) {
  std::shared_ptr<Botan::MessageAuthenticationCode> mac =
      Botan::MessageAuthenticationCode::create_or_throw(name);
  mac->set_key(key);
  mac_ = mac;
}

Block BotanMac::operator()(ByteView message) const {
  auto* const mac = static_cast<Botan::MessageAuthenticationCode*>(mac_.get());
  std::uint8_t tag[32];
  must(mac->output_length() <= sizeof tag, "Botan MAC");
  mac->update(message.data(), message.size());
  mac->final(tag);
  return one_block(tag);
}

OpenSslXts::OpenSslXts(const Bytes& keys) {
  const std::shared_ptr<EVP_CIPHER_CTX> context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  must(EVP_EncryptInit_ex(context.get(), EVP_aes_256_xts(), nullptr, keys.data(), nullptr) == 1,
       "OpenSSL XTS key");
  context_ = context;
}

Block OpenSslXts::operator()(const Block& tweak, const Block& plain) const {
  auto* const context = static_cast<EVP_CIPHER_CTX*>(context_.get());
  Block out;
  int size = 0;
  must(EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, tweak.bytes.data()) == 1 &&
           EVP_EncryptUpdate(context, out.bytes.data(), &size, plain.bytes.data(), 16) == 1,
       "OpenSSL XTS");
  return out;
}

BotanXts::BotanXts(const Bytes& keys) {
  std::shared_ptr<Botan::Cipher_Mode> mode =
      Botan::Cipher_Mode::create_or_throw("AES-256/XTS", Botan::ENCRYPTION);
  mode->set_key(keys);
  mode_ = mode;
}

Block BotanXts::operator()(const Block& tweak, const Block& plain) const {
  auto* const mode = static_cast<Botan::Cipher_Mode*>(mode_.get());
  Botan::secure_vector<std::uint8_t> data(plain.bytes.begin(), plain.bytes.end());
  mode->start(tweak.bytes.data(), tweak.bytes.size());
  mode->finish(data);
  return one_block({data.data(), data.size()});
}

}  // namespace fugo::testing
