#include "base/text.h"

#include <gtest/gtest.h>

#include <random>

namespace fugo {
namespace {

TEST(Symbol, TextFormOfKnownNumbers) {
  // Zero, the largest number, and the ULID specification's largest value, which is the same digits.
  EXPECT_EQ(encode_symbol(Block{}).substr(0, 26), "00000000000000000000000000");
  Block most;
  most.bytes.fill(0xFF);
  EXPECT_EQ(encode_symbol(most).substr(0, 26), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
}

TEST(Symbol, RoundTripAndEverySingleCharacterErrorIsFound) {
  std::mt19937_64 random(1);
  const std::string alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (int i = 0; i < 200; ++i) {
    Block symbol;
    store_be(symbol.bytes.data(), static_cast<std::uint64_t>(random()));
    store_be(symbol.bytes.data() + 8, static_cast<std::uint64_t>(random()));
    const std::string text = encode_symbol(symbol);
    ASSERT_EQ(text.size(), kSymbolTextLength);
    ASSERT_EQ(decode_symbol(text), symbol);
    for (std::size_t at = 0; at < text.size(); ++at) {
      for (const char other : alphabet) {
        if (other == text[at]) continue;
        std::string wrong = text;
        wrong[at] = other;
        ASSERT_FALSE(decode_symbol(wrong)) << text << " " << wrong;
      }
    }
  }
}

TEST(Symbol, RefusesAliasesAndWrongLengths) {
  Block symbol;
  symbol.bytes.fill(0x5A);
  std::string text = encode_symbol(symbol);
  EXPECT_FALSE(decode_symbol(text.substr(1)));
  EXPECT_FALSE(decode_symbol(text + "0"));
  for (char& c : text) c = static_cast<char>(std::tolower(c));
  EXPECT_FALSE(decode_symbol(text));
  EXPECT_FALSE(decode_symbol(""));
}

TEST(Hex, BothWays) {
  EXPECT_EQ(hex(as_bytes("\x01\xAB")), "01ab");
  EXPECT_EQ(unhex("01aB"), "\x01\xAB");
  EXPECT_FALSE(unhex("0"));
  EXPECT_FALSE(unhex("0g"));
}

TEST(Time, OffsetAndDayOfTheZone) {
  ASSERT_TRUE(set_time_zone("Asia/Tokyo"));
  EXPECT_EQ(format_time(1763596800), "2025-11-20T09:00:00+09:00");
  EXPECT_EQ(local_day(1763596800 + 15 * 3600), "2025-11-21");
  EXPECT_FALSE(set_time_zone("Asia/Nowhere"));
  EXPECT_FALSE(set_time_zone("../../etc/passwd"));
}

TEST(BigEndian, LoadsWhatItStores) {
  std::array<std::uint8_t, 8> bytes{};
  store_be<std::uint32_t>(bytes.data(), 0x01020304);
  EXPECT_EQ(bytes[0], 1);
  EXPECT_EQ(load_be<std::uint32_t>(bytes.data()), 0x01020304U);
  store_be<std::uint64_t>(bytes.data(), 0x0102030405060708);
  EXPECT_EQ(load_be<std::uint64_t>(bytes.data()), 0x0102030405060708U);
  EXPECT_EQ(load_be<std::uint16_t>(bytes.data()), 0x0102);
}

}  // namespace
}  // namespace fugo
