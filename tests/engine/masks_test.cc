#include "engine/masks.h"

#include <gtest/gtest.h>

#include "oracles.h"
#include "scratch_token.h"
#include "tests/hsm/token_fixture.h"
#include "vector_file.h"

namespace fugo::engine {
namespace {

using fugo::testing::block_from_hex;
using fugo::testing::from_hex;
using fugo::testing::ImportedKey;
using fugo::testing::openssl_ecb;
using fugo::testing::OpenSslCmac;
using fugo::testing::read_vectors;
using fugo::testing::ScratchToken;

constexpr hsm::KeyName kKey{hsm::KeyPurpose::kLinkage, hsm::KeyAlgorithm::kAes256, 1};

TEST(LabelBlock, IsAsciiPaddedWithZeroBytes) {
  EXPECT_EQ(label_block("check"), block_from_hex("636865636b0000000000000000000000"));
  EXPECT_EQ(label_block(""), Block{});
  EXPECT_EQ(label_block("0123456789abcdef"), block_from_hex("30313233343536373839616263646566"));
}

// SP 800-38B appendix D.3: CIPH_K(0^128), K1 and K2 of its AES-256 key.
TEST(Doubled, GivesTheSubkeysOfTheStandard) {
  const auto key = from_hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
  const Block zero = block_from_hex("e568f68194cf76d6174d4cc04310a854");
  const Block k1 = block_from_hex("cad1ed03299eedac2e9a99808621502f");
  EXPECT_EQ(openssl_ecb(key, Block{}), zero);
  EXPECT_EQ(doubled(zero), k1);
  EXPECT_EQ(doubled(k1), block_from_hex("95a3da06533ddb585d3533010c42a0d9"));
}

TEST(Doubled, ReducesOnlyWhenABitIsShiftedOut) {
  EXPECT_EQ(doubled(block_from_hex("80000000000000000000000000000000")),
            block_from_hex("00000000000000000000000000000087"));
  EXPECT_EQ(doubled(block_from_hex("40000000000000008000000000000001")),
            block_from_hex("80000000000000010000000000000002"));
}

TEST(CmacMasks, AreTheSameWhateverElseIsInTheCall) {
  const auto key = from_hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
  const ScratchToken scratch(hsm::TokenRole::kIssuing, {{kKey, key}});
  const auto found = scratch.token()->find_key(kKey, scratch.rows().front().fingerprint);
  ASSERT_TRUE(found) << found.error().message();
  if (!hsm::testing::abilities().blocks) {  // the token takes the label itself, into each CMAC
    Block label = label_block("check");
    ASSERT_TRUE(cmac_masks(*scratch.token(), *found, {&label, 1}));
    EXPECT_EQ(label, label_block("check"));
    return;
  }
  std::vector<Block> many(40'000);  // several calls of the token
  for (std::size_t i = 0; i < many.size(); ++i) store_be(many[i].bytes.data(), std::uint32_t(i));
  const auto labels = many;
  ASSERT_TRUE(cmac_masks(*scratch.token(), *found, many));
  const Block k1 = doubled(openssl_ecb(key, Block{}));
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}, std::size_t{16'383}, many.size() - 1})
    EXPECT_EQ(many[i], openssl_ecb(key, labels[i]) ^ k1) << i;
  Block single = labels[17];
  ASSERT_TRUE(cmac_masks(*scratch.token(), *found, {&single, 1}));
  EXPECT_EQ(single, many[17]);
}

// A message of one block is CMAC(K, X) = E_K(K1 xor X): the mask of label 0 without E_K(0).
TEST(CmacMasks, GiveTheTagsOfOneBlockMessages) {
  for (const char* file : {"sp800_38b_aes256_cmac.json", "aes256_cmac.json"}) {
    std::size_t tried = 0;
    const auto vectors = read_vectors(file);
    for (const auto& vector : vectors.at("cases")) {
      const auto message = from_hex(vector.at("message").get<std::string>());
      if (message.size() != sizeof(Block)) continue;
      const auto key = from_hex(vector.at("key").get<std::string>());
      const Block mask = openssl_ecb(key, Block{});
      const Block tag = openssl_ecb(key, doubled(mask) ^ fugo::testing::one_block(message));
      const bool equal = tag == block_from_hex(vector.at("tag").get<std::string>());
      EXPECT_EQ(equal, vector.at("valid").get<bool>()) << file << vector.at("id");
      ++tried;
    }
    EXPECT_GE(tried, 1U) << file;
  }
}

}  // namespace
}  // namespace fugo::engine
