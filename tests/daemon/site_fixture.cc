#include "tests/daemon/site_fixture.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace fugo::test {
namespace {

constexpr int kCannotRun = 127;

[[noreturn]] void become_fugo(const std::vector<char*>& argv, const RunOptions& options,
                              const std::string& out, const std::string& err) {
  const int out_fd = ::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const int err_fd = ::open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (out_fd < 0 || err_fd < 0 || ::dup2(out_fd, STDOUT_FILENO) < 0 ||
      ::dup2(err_fd, STDERR_FILENO) < 0)
    ::_exit(kCannotRun);
  for (const auto& [name, value] : options.environment) ::setenv(name.c_str(), value.c_str(), 1);
  if (!options.working_directory.empty() && ::chdir(options.working_directory.c_str()) != 0)
    ::_exit(kCannotRun);
  if (options.in_child) options.in_child();
  ::execv(argv[0], argv.data());
  ::_exit(kCannotRun);
}

int wait_for(pid_t child) {
  int status = 0;
  pid_t ended = 0;
  do {
    ended = ::waitpid(child, &status, 0);
  } while (ended < 0 && errno == EINTR);  // a fuzzer's timer
  if (ended != child) return -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// The tokens' configuration names an absolute path, which a copy must change.
void move_tokens(const std::filesystem::path& site) {
  for (const char* role : {"issuing", "linking", "standby"}) {
    const auto token = site / "tokens" / role;
    write_file(token / "softhsm2.conf",
               "directories.tokendir = " + (token / "objects").string() +
                   "\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n");
  }
}

}  // namespace

const char* const kTestAgencies =
    "agency_code,name,method\n"
    "131016,Chiyoda,\n"
    "472018,Naha,\n"
    "011002,Sapporo,cmac-ff-aes256\n"
    "131130,Shibuya,hmac-sha256\n"
    "141003,Yokohama,xts-aes256\n";

CommandResult run_fugo(const std::vector<std::string>& arguments, const RunOptions& options) {
  const TemporaryDirectory streams;
  const auto out = (streams.path() / "out").string(), err = (streams.path() / "err").string();
  std::vector<std::string> words = {FUGO_BINARY_DIR "/daemon/fugo"};
  if (!options.program.empty()) words.front() = options.program.string();
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) become_fugo(argv, options, out, err);
  CommandResult result;
  result.exit_code = wait_for(child);
  result.out = read_file(out);
  result.err = read_file(err);
  return result;
}

void drop_capability(int capability) { ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0); }

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "fugo-test-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) std::abort();
  path_ = std::filesystem::canonical(pattern);
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void write_file(const std::filesystem::path& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << content;
  file.close();
  EXPECT_TRUE(file) << path;
}

std::string read_file(const std::filesystem::path& path) {
  const std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

namespace {

// The folder in which test programs of one run keep a pristine site for one another: a ceremony
// makes RSA keys, which takes seconds. Empty: each program makes its own.
std::filesystem::path shared_folder() {
  const char* folder = std::getenv("FUGO_TEST_SITES");
  return folder == nullptr ? std::filesystem::path() : std::filesystem::path(folder);
}

void copy_site(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
  move_tokens(to);
}

}  // namespace

const TestSite& TestSite::pristine() {
  static const TestSite site(Pristine{});
  return site;
}

TestSite::TestSite(Pristine) {
  const auto folder = shared_folder();
  const int lock =
      folder.empty() ? -1 : ::open((folder / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock >= 0 && ::flock(lock, LOCK_EX) == 0 && std::filesystem::exists(folder / "site")) {
    copy_site(folder / "site", directory());
  } else {
    make({});
    if (lock >= 0) {
      copy_site(directory(), folder / "new");
      std::filesystem::rename(folder / "new", folder / "site");
    }
  }
  if (lock >= 0) ::close(lock);
}

TestSite::TestSite() { copy_site(pristine().directory(), directory()); }

TestSite::TestSite(const std::vector<std::string>& init_arguments) { make(init_arguments); }

void TestSite::make(const std::vector<std::string>& init_arguments) const {
  std::vector<std::string> words = {"init", "--dir", directory().string()};
  words.insert(words.end(), init_arguments.begin(), init_arguments.end());
  const auto made = run_fugo(words);
  EXPECT_EQ(made.exit_code, 0) << made.err;
  write_file(scratch() / "agencies.csv", kTestAgencies);
  const auto imported = run({"agency", "import", (scratch() / "agencies.csv").string()});
  EXPECT_EQ(imported.exit_code, 0) << imported.err;
}

CommandResult TestSite::run(std::vector<std::string> arguments, const RunOptions& options) const {
  arguments.insert(arguments.begin(), {"--config", config().string()});
  return run_fugo(arguments, options);
}

void TestSite::set_config(const std::string& from, const std::string& to) const {
  auto text = read_file(config());
  const auto at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  write_file(config(), text.replace(at, from.size(), to));
}

}  // namespace fugo::test
