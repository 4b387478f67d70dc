// The systemd unit: understood by systemd, and as closed as the documents say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/daemon/site_fixture.h"

namespace fugo::test {
namespace {

using testing::HasSubstr;

// kMostExposed is ten times the score of docs/operation.md, of 100.
constexpr const char* kMostExposed = "10";

class Unit : public testing::Test {
 protected:
  // The unit as it is installed, but for the program, which need not be installed here.
  Unit() {
    auto text = read_file(FUGO_BINARY_DIR "/daemon/systemd/fugod.service");
    const auto from = text.find("ExecStart=") + sizeof("ExecStart=") - 1;
    const auto program = text.substr(from, text.find(' ', from) - from);
    EXPECT_THAT(program, HasSubstr("/bin/fugod"));
    write_file(file(), text.replace(from, program.size(), "/bin/true"));
  }
  std::filesystem::path file() const { return directory_.path() / "fugod.service"; }
  int run(const std::string& command) const {
    return std::system(
        (command + " " + file().string() + " >" + output().string() + " 2>&1").c_str());
  }
  std::filesystem::path output() const { return directory_.path() / "output"; }
  TemporaryDirectory directory_;
};

TEST_F(Unit, SystemdUnderstandsIt) {
  EXPECT_EQ(run("systemd-analyze verify --man=no"), 0) << read_file(output());
  EXPECT_EQ(read_file(output()), "");
}

TEST_F(Unit, ItIsClosed) {
  EXPECT_EQ(run(std::string("systemd-analyze security --offline=true --threshold=") + kMostExposed),
            0)
      << read_file(output());
}

TEST_F(Unit, WhatTheDaemonNeedsIsThere) {
  const auto unit = read_file(file());
  for (const char* line :
       {"\nType=notify\n", "\nNotifyAccess=main\n", "\nWatchdogSec=", "\nLimitCORE=0\n",
        "\nLimitMEMLOCK=infinity\n", "\nExecReload=", "\nLoadCredential=issuing-pin:",
        "\nRestartPreventExitStatus=2 5\n", "\nUser=fugo\n"})
    EXPECT_THAT(unit, HasSubstr(line));
}

}  // namespace
}  // namespace fugo::test
