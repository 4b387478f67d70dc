#include "tests/package/installation.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace fugo::test {

CommandResult shell(const std::string& command) {
  const TemporaryDirectory streams;
  const auto out = streams.path() / "out", err = streams.path() / "err";
  const int status =
      std::system(("(" + command + ") >" + out.string() + " 2>" + err.string()).c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(out), read_file(err)};
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) all.push_back(line);
  return all;
}

const Installation& Installation::instance() {
  static const Installation installation;
  return installation;
}

Installation::Installation() : prefix_(temporary_.path() / "prefix") {
  const auto installed =
      shell(FUGO_CMAKE " --install " FUGO_BINARY_DIR " --strip --prefix " + prefix_.string());
  EXPECT_EQ(installed.exit_code, 0) << installed.err;
}

std::filesystem::path Installation::library() const {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(prefix_))
    if (entry.path().filename() == "libfugo.so") return entry.path().parent_path();
  ADD_FAILURE() << "there is no libfugo.so in " << prefix_;
  return {};
}

std::vector<std::filesystem::path> make_debian_packages(const std::filesystem::path& directory) {
  const auto packed = shell(FUGO_CPACK " -B " + directory.string() +
                            " --config " FUGO_BINARY_DIR "/CPackConfig.cmake");
  EXPECT_EQ(packed.exit_code, 0) << packed.out << packed.err;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    if (entry.path().extension() == ".deb") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace fugo::test
