// Tests with files and processes of several accounts, which only root can make.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string>

namespace fugo::test {

// run_as_root is the main function of such a test: who is not root runs it by sudo, as ./run does
// with packages.
inline int run_as_root(int argc, char** argv) {
  if (::geteuid() != 0) {
    const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
    ::execlp("sudo", "sudo", "-n", self.c_str(), nullptr);
    std::perror("only root can act as several accounts: sudo");
    return 1;
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

}  // namespace fugo::test
