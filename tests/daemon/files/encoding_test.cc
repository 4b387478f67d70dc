// Which encoding a text that is not UTF-8 is said to have.
#include "daemon/files/encoding.h"

#include <gtest/gtest.h>

namespace fugo::daemon {
namespace {

using namespace std::string_view_literals;

TEST(Encoding, AFewCharactersOfJapaneseAreNotCalledWestern) {
  EXPECT_EQ(guess_encoding("1,\x93\x8C\x8B\x9E\x93\x73,x"sv), "SHIFT_JIS");  // Tokyo-to
  EXPECT_EQ(guess_encoding("\x93\x8C"sv), "SHIFT_JIS");
  EXPECT_EQ(guess_encoding("1,\xC5\xEC\xB5\xFE\xC5\xD4,x"sv), "EUC-JP");  // the same
  EXPECT_EQ(guess_encoding("\xFB\xFC\x8B\xB4"sv), "CP932");  // a character that vendors added
  // Cut off in the middle of a character, as the text to guess from may be.
  EXPECT_EQ(guess_encoding("\x93\x8C\x8B\x9E\x93"sv), "SHIFT_JIS");
}

TEST(Encoding, WhatCouldBeBothOrNeitherIsNotGuessedAtAsJapanese) {
  // Half-width katakana of Shift_JIS, and kanji of EUC-JP.
  EXPECT_EQ(guess_encoding("\xD4\xCF\xC0\xDE"sv), "");
  EXPECT_EQ(guess_encoding("plain"sv), "");
  const auto western = guess_encoding("caf\xE9 cr\xE8me, d\xE9j\xE0 vu. O\xF9 est-il ?"sv);
  EXPECT_NE(western, "SHIFT_JIS");
  EXPECT_NE(western, "EUC-JP");
}

TEST(Encoding, TheRefusalOffersTheCommandThatConverts) {
  const auto text = "1,\x93\x8C\x8B\x9E\x93\x73"sv;
  const auto refused = refuse_encoding("r.csv", 3, text, 2);
  EXPECT_NE(refused.value().message().find("iconv -f SHIFT_JIS -t UTF-8 'r.csv'"),
            std::string::npos)
      << refused.value().message();
}

}  // namespace
}  // namespace fugo::daemon
