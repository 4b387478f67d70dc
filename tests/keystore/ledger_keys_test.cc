#include "keystore/ledger_keys.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <random>
#include <set>

#include "base/text.h"
#include "keystore/openssl_util.h"

namespace fugo::keystore {
namespace {

SecretBytes<32> data_key() {
  SecretBytes<32> key;
  for (std::size_t i = 0; i < 32; ++i) key.data()[i] = static_cast<std::uint8_t>(i * 7);
  return key;
}

Block ledger_id() {
  Block id;
  id.bytes.fill(0xA5);
  return id;
}

std::string hmac_sha256(std::string_view key, std::string_view data) {
  unsigned char mac[32];
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(data.data()), data.size(), mac, &size);
  return {reinterpret_cast<char*>(mac), size};
}

// RFC 5869, section 2, written out.
std::string hkdf_by_hand(std::string_view key, std::string_view salt, const std::string& info,
                         std::size_t size) {
  const std::string extracted = hmac_sha256(salt, key);
  std::string out, last;
  for (char counter = 1; out.size() < size; ++counter) {
    last = hmac_sha256(extracted, last + info + counter);
    out += last;
  }
  return out.substr(0, size);
}

TEST(LedgerKeys, HkdfGivesTheAnswerOfRfc5869TestCase1) {
  const std::string key(22, '\x0b');
  const auto salt = unhex("000102030405060708090a0b0c");
  const auto info = unhex("f0f1f2f3f4f5f6f7f8f9");
  std::array<std::uint8_t, 42> out{};
  ASSERT_TRUE(hkdf_sha256(as_bytes(key), as_bytes(*salt), as_bytes(*info), out).has_value());
  EXPECT_EQ(hex(out),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
}

TEST(LedgerKeys, EachKeyIsHkdfUnderItsName) {
  const auto keys = LedgerKeys::derive(data_key(), ledger_id());
  ASSERT_TRUE(keys.has_value());
  const auto expected = [](const char* name, std::size_t size) {
    return hex(as_bytes(hkdf_by_hand(as_text(data_key().bytes()), as_text(ledger_id().bytes),
                                     std::string("fugo ") + name, size)));
  };
  EXPECT_EQ(hex((*keys)->seal().bytes()), expected("seal", 64));
  EXPECT_EQ(hex((*keys)->index().bytes()), expected("index", 32));
  EXPECT_EQ(hex((*keys)->digest().bytes()), expected("digest", 32));
  EXPECT_EQ(hex((*keys)->request().bytes()), expected("request", 32));
  EXPECT_EQ(hex((*keys)->spill().bytes()), expected("spill", 32));
  EXPECT_EQ((*keys)->ledger_id(), ledger_id());
}

TEST(LedgerKeys, SymbolDigestsAreTheHeadsOfAesBlocks) {
  const auto keys = LedgerKeys::derive(data_key(), ledger_id());
  ASSERT_TRUE(keys.has_value());
  std::mt19937_64 random(1);
  for (const std::size_t count : {0UL, 1UL, 255UL, 256UL, 257UL, 1000UL}) {
    std::vector<Block> symbols(count);
    for (Block& symbol : symbols) store_be(symbol.bytes.data(), std::uint64_t{random()});
    std::vector<std::uint64_t> digests(count);
    ASSERT_TRUE((*keys)->symbol_digests(symbols, digests).has_value());
    EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
    for (std::size_t i = 0; i < count; ++i) {
      std::uint8_t out[32];
      int size = 0;
      EVP_EncryptInit_ex(context, EVP_aes_256_ecb(), nullptr, (*keys)->index().data(), nullptr);
      EVP_EncryptUpdate(context, out, &size, symbols[i].bytes.data(), 16);
      ASSERT_EQ(digests[i], load_be<std::uint64_t>(out)) << i;
    }
    EVP_CIPHER_CTX_free(context);
  }
}

TEST(LedgerKeys, TagIsTheHeadOfTheCheckValue) {
  EXPECT_EQ(symbol_tag({0x12, 0x34, 0x56, 0x78, 0x9A, 0xBC, 0xDE, 0xF0}), 0x12345678U);
}

}  // namespace
}  // namespace fugo::keystore
