#include "tests/fault/run_with_faults.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace fugo::testing {
namespace {

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  std::abort();
}

// Scratch is a directory of one run: counters and what the command writes.
class Scratch {
 public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "fugo-fault-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) give_up("mkdtemp");
    directory_ = name;
    std::ofstream(counters(), std::ios::binary) << std::string(2 * sizeof(std::uint64_t), '\0');
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  [[nodiscard]] std::filesystem::path counters() const { return directory_ / "counters"; }
  [[nodiscard]] std::filesystem::path output() const { return directory_ / "output"; }
  [[nodiscard]] std::filesystem::path errors() const { return directory_ / "errors"; }

 private:
  std::filesystem::path directory_;
};

std::string read_all(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> settings(const FaultPlan& plan, const Scratch& scratch) {
  std::string except;
  for (const auto& path : plan.except) except += std::filesystem::canonical(path).string() + ":";
  const std::string library = FUGO_INTERPOSE_LIBRARY;
  std::vector<std::string> out{
      "LD_PRELOAD=" + library,
      "ASAN_OPTIONS=verify_asan_link_order=0",
      "FUGO_FAULT_UNDER=" + std::filesystem::canonical(plan.under).string(),
      "FUGO_FAULT_EXCEPT=" + except,
      "FUGO_FAULT_COUNTERS=" + scratch.counters().string(),
      "FUGO_FAULT_WRITES=" + std::to_string(plan.count_writes ? 1 : 0),
      "FUGO_FAULT_KILL_AT=" + std::to_string(plan.kill_at),
      "FUGO_FAULT_KILL_AFTER=" + std::to_string(plan.kill_after ? 1 : 0),
      "FUGO_FAULT_FAIL_AT=" + std::to_string(plan.fail_at),
      "FUGO_FAULT_ERRNO=" + std::to_string(plan.fail_errno),
      "FUGO_FAULT_FOREVER=" + std::to_string(plan.fail_forever ? 1 : 0)};
  if (!plan.log.empty()) out.push_back("FUGO_FAULT_LOG=" + plan.log.string());
  return out;
}

void redirect(const char* path, int flags, int to) {
  const int fd = ::open(path, flags | O_CLOEXEC, 0600);
  if (fd < 0 || ::dup2(fd, to) < 0) ::_exit(127);
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (std::string& text : strings) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

FaultOutcome run_with_faults(const std::vector<std::string>& command, const FaultPlan& plan,
                             const std::vector<std::string>& environment) {
  const Scratch scratch;
  std::vector<std::string> arguments = command;
  std::vector<std::string> variables = settings(plan, scratch);
  variables.insert(variables.end(), environment.begin(), environment.end());
  for (char** entry = environ; *entry != nullptr; ++entry) variables.emplace_back(*entry);
  const std::vector<char*> argv = pointers(arguments), envp = pointers(variables);
  const std::string output = scratch.output().string(), errors = scratch.errors().string();
  const pid_t child = ::fork();
  if (child < 0) give_up("fork");
  if (child == 0) {
    redirect("/dev/null", O_RDONLY, STDIN_FILENO);
    redirect(output.c_str(), O_WRONLY | O_CREAT, STDOUT_FILENO);
    redirect(errors.c_str(), O_WRONLY | O_CREAT, STDERR_FILENO);
    ::alarm(120);
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  int status = 0;
  if (::waitpid(child, &status, 0) != child) give_up("waitpid");
  FaultOutcome outcome;
  if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
  std::array<std::uint64_t, 2> counts{};
  std::ifstream(scratch.counters(), std::ios::binary)
      .read(reinterpret_cast<char*>(counts.data()), sizeof counts);
  outcome.steps = counts[0];
  outcome.failable = counts[1];
  outcome.output = read_all(output);
  outcome.errors = read_all(errors);
  return outcome;
}

}  // namespace fugo::testing
