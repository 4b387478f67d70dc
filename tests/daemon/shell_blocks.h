// The commands of a document, run as they stand there.
#pragma once

#include <filesystem>
#include <string>

namespace fugo::test {

// shell_blocks gives the ```sh blocks of a document, one after the other.
[[nodiscard]] std::string shell_blocks(const std::string& document);

// ScriptResult is what a run left.
struct ScriptResult {
  int exit_code = -1;
  std::string log;  // each command behind "+", then its output
};

// run_document runs the ```sh blocks of a document of this source tree by bash in `directory`, with
// the command of this build and the agencies' examples in front of $PATH; it ends at the first
// command that fails.
[[nodiscard]] ScriptResult run_document(const std::string& name,
                                        const std::filesystem::path& directory);

}  // namespace fugo::test
