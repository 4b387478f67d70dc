#include "tests/daemon/shell_blocks.h"

#include <sys/wait.h>

#include <cstdlib>

#include "tests/daemon/site_fixture.h"

namespace fugo::test {

std::string shell_blocks(const std::string& document) {
  std::string commands;
  for (std::size_t at = document.find("```sh\n"); at != std::string::npos;
       at = document.find("```sh\n", at)) {
    at += 6;
    const std::size_t end = document.find("```", at);
    commands += document.substr(at, end - at);
    at = end;
  }
  return commands;
}

ScriptResult run_document(const std::string& name, const std::filesystem::path& directory) {
  const std::filesystem::path source = FUGO_SOURCE_DIR;
  const TemporaryDirectory scratch;
  const auto script = scratch.path() / "document.sh", log = scratch.path() / "document.log";
  write_file(script, "set -euo pipefail\nPATH=" + std::string(FUGO_BINARY_DIR) +
                         "/daemon:" + (source / "examples/agency").string() + ":$PATH\ncd " +
                         directory.string() + "\nset -x\n" +
                         shell_blocks(read_file(source / "docs" / name)));
  const int status =
      std::system(("bash " + script.string() + " >" + log.string() + " 2>&1").c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_file(log)};
}

}  // namespace fugo::test
