#include "keystore/seal.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace fugo::keystore {
namespace {

std::vector<std::uint8_t> from_hex(std::string_view digits) {
  const auto raw = unhex(digits).value();
  return {raw.begin(), raw.end()};
}

SecretBytes<64> counting_key() {
  SecretBytes<64> key;
  for (std::size_t i = 0; i < 64; ++i) key.data()[i] = static_cast<std::uint8_t>(i);
  return key;
}

TEST(Seal, GivesBackWhatWasSealed) {
  const auto key = counting_key();
  const auto data = from_hex("0102"), content = from_hex("00112233445566778899aabbccddeeff00");
  const std::array<ByteView, 1> associated{data};
  const auto sealed = siv_seal(key, associated, content);
  ASSERT_TRUE(sealed);
  EXPECT_EQ(sealed->size(), content.size() + kSealOverhead);
  const auto opened = siv_open(key, associated, *sealed);
  ASSERT_TRUE(opened);
  EXPECT_TRUE(std::equal(content.begin(), content.end(), opened->bytes().begin()));
  EXPECT_EQ(*siv_seal(key, associated, content), *sealed);  // deterministic, RFC 5297 section 1.3.2
}

// S2V and CTR put together from RFC 5297, sections 2.4 and 2.6, with no more than AES and CMAC of
// another program: `openssl mac` and `openssl enc`; docs/spec/ledger.md shows the commands.
TEST(Seal, IsRfc5297) {
  const auto sealed =
      siv_seal(counting_key(), std::array<ByteView, 1>{as_bytes("fugo")}, as_bytes("ledger"));
  ASSERT_TRUE(sealed);
  EXPECT_EQ(hex(*sealed), "a5ccd220c4bf07340b2b730fb86d488a926b3fd195a1");
}

TEST(Seal, FindsEveryChange) {
  const auto key = counting_key();
  const auto data = from_hex("0102"), content = from_hex("00112233");
  const std::array<ByteView, 1> associated{data};
  const auto sealed = *siv_seal(key, associated, content);
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    auto changed = sealed;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    const auto opened = siv_open(key, associated, changed);
    ASSERT_FALSE(opened) << bit;
    EXPECT_EQ(opened.error().code, ErrorCode::kDamaged);
  }
  const auto other = from_hex("0103");
  EXPECT_FALSE(siv_open(key, std::array<ByteView, 1>{other}, sealed));
  auto wrong = key;
  wrong.data()[63] ^= 1;
  EXPECT_FALSE(siv_open(wrong, associated, sealed));
  for (std::size_t length = 0; length < sealed.size(); ++length)
    EXPECT_FALSE(siv_open(key, associated, ByteView(sealed).first(length)));
}

TEST(Seal, HmacIsRfc4231) {
  // RFC 4231, test case 2.
  const auto mac =
      hmac_sha256(as_bytes("Jefe"),
                  std::array<ByteView, 2>{as_bytes("what do ya want "), as_bytes("for nothing?")});
  ASSERT_TRUE(mac);
  EXPECT_EQ(hex(*mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Seal, Sha256IsFips180) {
  const auto digest = sha256(std::array<ByteView, 2>{as_bytes("a"), as_bytes("bc")});
  ASSERT_TRUE(digest);
  EXPECT_EQ(hex(*digest), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace fugo::keystore
