#include "engine/methods.h"

#include <gtest/gtest.h>

#include <set>

namespace fugo::engine {
namespace {

// These numbers are stored: the test fails when one is changed.
TEST(Methods, NumbersAndNamesArePermanent) {
  EXPECT_EQ(find_method(1)->name, "cmac-ff-aes256");
  EXPECT_EQ(find_method(2)->name, "hmac-sha256");
  EXPECT_EQ(find_method(3)->name, "xts-aes256");
  EXPECT_EQ(find_method(240)->name, "test-16");
  EXPECT_EQ(methods().size(), 4U);
}

TEST(Methods, EveryRowIsFoundByNumberAndByName) {
  std::set<std::string_view> names;
  for (const Method& method : methods()) {
    EXPECT_EQ(find_method(static_cast<std::uint8_t>(method.number)), &method);
    EXPECT_EQ(find_method(method.name), &method);
    EXPECT_TRUE(method.for_linkage || method.for_agency);
    names.insert(method.name);
  }
  EXPECT_EQ(names.size(), methods().size());
}

TEST(Methods, UnknownOnesAreNotFound) {
  for (const int number : {0, 4, 239, 241, 255})
    EXPECT_EQ(find_method(static_cast<std::uint8_t>(number)), nullptr) << number;
  EXPECT_EQ(find_method("cmac"), nullptr);
  EXPECT_EQ(find_method(""), nullptr);
}

TEST(Methods, OnlyXtsCanBeInvertedAndItMakesNoLinkageSymbols) {
  for (const Method& method : methods()) {
    const bool xts = method.number == MethodNumber::kXtsAes256;
    EXPECT_EQ(method.invertible, xts);
    EXPECT_EQ(method.for_linkage, !xts);
    EXPECT_EQ(method.test_only, method.number == MethodNumber::kTest16);
  }
}

}  // namespace
}  // namespace fugo::engine
