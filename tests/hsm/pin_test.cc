#include "hsm/pin.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <string>

#include "base/file.h"
#include "tests/hsm/token_fixture.h"

namespace fugo::hsm::testing {
namespace {

class PinFile : public ::testing::Test {
 protected:
  Result<Pin> with(const std::string& content, unsigned mode = 0600) {
    const auto file = directory_.path() / "pin";
    EXPECT_TRUE(write_durably(file, as_bytes(content), mode));
    EXPECT_EQ(::chmod(file.c_str(), mode), 0);
    return Pin::read(file);
  }
  ScratchDirectory directory_;
};

TEST_F(PinFile, OneNewlineIsStripped) {
  auto pin = with("secret\n");
  ASSERT_TRUE(pin);
  EXPECT_EQ(std::string(reinterpret_cast<char*>(pin->data()), pin->size()), "secret");
  EXPECT_EQ(with("secret")->size(), 6U);
}

TEST_F(PinFile, WhatIsNotOnePrivateLineIsRefusedWithoutShowingIt) {
  const auto refused = [](const Result<Pin>& pin) {
    return !pin && pin.error().code == ErrorCode::kUsage &&
           pin.error().message().find("secret") == std::string::npos;
  };
  for (const unsigned mode : {0640U, 0604U, 0660U, 0610U})
    EXPECT_TRUE(refused(with("secret", mode)));
  EXPECT_TRUE(refused(with("")));
  EXPECT_TRUE(refused(with("\n")));
  EXPECT_TRUE(refused(with("secret\nsecret\n")));
  EXPECT_TRUE(refused(with("secret\n\n")));
  EXPECT_TRUE(refused(with(std::string(256, 's'))));
  EXPECT_TRUE(refused(Pin::read(directory_.path())));
  EXPECT_TRUE(refused(Pin::read(directory_.path() / "missing")));
  EXPECT_TRUE(with(std::string(255, 's')));
}

TEST_F(PinFile, ACredentialMayShowTheRightToReadOfAnAcl) {
  ::setenv("CREDENTIALS_DIRECTORY", directory_.path().c_str(), 1);
  EXPECT_TRUE(with("secret", 0440));
  EXPECT_FALSE(with("secret", 0460));
  EXPECT_FALSE(with("secret", 0444));
  ::setenv("CREDENTIALS_DIRECTORY", "/run/credentials/another", 1);
  EXPECT_FALSE(with("secret", 0440));
  ::unsetenv("CREDENTIALS_DIRECTORY");
}

TEST_F(PinFile, MadeAtRandomAndPrivateAndNeverOverwritten) {
  const auto one = directory_.path() / "one", two = directory_.path() / "two";
  ASSERT_TRUE(make_pin_file(one));
  ASSERT_TRUE(make_pin_file(two));
  EXPECT_EQ(read_small(one, 100)->size(), 33U);
  EXPECT_NE(*read_small(one, 100), *read_small(two, 100));
  struct stat status {};
  ASSERT_EQ(::stat(one.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  ASSERT_FALSE(make_pin_file(one));
  EXPECT_EQ(make_pin_file(one).error().code, ErrorCode::kRefused);
}

}  // namespace
}  // namespace fugo::hsm::testing
