// What `cmake --install` makes of this build, in a directory of its own, for tests.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "tests/daemon/site_fixture.h"

namespace fugo::test {

// shell runs a command by sh and waits for it. `err` holds what it wrote to standard error.
[[nodiscard]] CommandResult shell(const std::string& command);

// lines cuts a text into lines without their ends.
[[nodiscard]] std::vector<std::string> lines(const std::string& text);

// Installation is the build, installed with every component under a prefix.
class Installation {
 public:
  // the one of this program, made on first use
  static const Installation& instance();
  [[nodiscard]] const std::filesystem::path& prefix() const { return prefix_; }
  // library is the directory of libfugo.so.
  [[nodiscard]] std::filesystem::path library() const;

 private:
  Installation();
  TemporaryDirectory temporary_;
  std::filesystem::path prefix_;
};

// make_debian_packages runs cpack, and gives the files by name of package.
[[nodiscard]] std::vector<std::filesystem::path> make_debian_packages(
    const std::filesystem::path& directory);

}  // namespace fugo::test
