// The real command `fugo` on a real site, for tests.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace fugo::test {

// CommandResult is what a run of the command left.
struct CommandResult {
  int exit_code = -1;  // 128 + number when a signal ended it
  std::string out, err;

  // json parses standard output; a discarded value when it is not exactly one document.
  [[nodiscard]] nlohmann::json json() const { return nlohmann::json::parse(out, nullptr, false); }
};

// RunOptions changes the surroundings of a run.
struct RunOptions {
  std::vector<std::pair<std::string, std::string>> environment;  // added to the test's own
  std::filesystem::path working_directory;                       // empty: the test's own
  std::function<void()> in_child;   // called between fork and exec: async-signal-safe calls only
  std::filesystem::path program{};  // another copy of the command; empty: of this build
};

// run_fugo runs the command of this build and waits for it.
[[nodiscard]] CommandResult run_fugo(const std::vector<std::string>& arguments,
                                     const RunOptions& options = {});

// drop_capability takes a capability (CAP_...) from what follows in this process, so that root is
// held to a limit like anybody. For RunOptions::in_child.
void drop_capability(int capability);

// TemporaryDirectory is removed with all that is in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// write_file and read_file are for small text files; a failure fails the test.
void write_file(const std::filesystem::path& path, const std::string& content);
[[nodiscard]] std::string read_file(const std::filesystem::path& path);

// kTestAgencies is what every TestSite has in its registry, as `agency import` reads it: with the
// default method 131016, 472018 and 011002; with hmac-sha256 131130; with xts-aes256 141003.
extern const char* const kTestAgencies;

// TestSite is a site of environment test in a directory of its own, made by `fugo init` and
// `fugo agency import`.
class TestSite {
 public:
  // pristine is one site for the whole program, made on first use: run nothing on it that changes
  // it. With FUGO_TEST_SITES, a folder, all programs of a run have copies of one.
  static const TestSite& pristine();
  // A copy of the pristine site, free to be changed, in a directory that goes with the object.
  TestSite();
  // A site made anew, with further arguments for init ("--linkage-method", "test-16").
  explicit TestSite(const std::vector<std::string>& init_arguments);

  [[nodiscard]] std::filesystem::path directory() const { return temporary_.path() / "site"; }
  [[nodiscard]] std::filesystem::path config() const { return directory() / "fugo.toml"; }
  // scratch is a directory beside the site, for requests and answers.
  [[nodiscard]] std::filesystem::path scratch() const { return temporary_.path(); }

  // run is run_fugo with this site's --config in front.
  [[nodiscard]] CommandResult run(std::vector<std::string> arguments,
                                  const RunOptions& options = {}) const;
  // set_config replaces `from`, which must be there, by `to` in fugo.toml.
  void set_config(const std::string& from, const std::string& to) const;

 private:
  struct Pristine {};
  explicit TestSite(Pristine);
  void make(const std::vector<std::string>& init_arguments) const;

  TemporaryDirectory temporary_;
};

}  // namespace fugo::test
