#include "tests/daemon/service/daemon_fixture.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

int bind_socket(const fs::path& path) {
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << path;
  return fd;
}

int exit_code_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

bool wait_for(const std::function<bool()>& done) {
  const auto end = std::chrono::steady_clock::now() + 60s;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

RunningDaemon::RunningDaemon(const TestSite& site, const Environment& environment) {
  start(site, environment);
  EXPECT_TRUE(wait_for([&] { return ended() || notices().find("READY=1") != std::string::npos; }))
      << log();
}

RunningDaemon::RunningDaemon(const TestSite& site, DontWait, const Environment& environment) {
  start(site, environment);
}

void RunningDaemon::start(const TestSite& site, const Environment& environment) {
  std::string pattern = (site.scratch() / "daemon-XXXXXX").string();
  scratch_ = ::mkdtemp(pattern.data());
  log_ = scratch_ / "log";
  const auto notify = scratch_ / "n";
  socket_ = bind_socket(notify);
  const std::string program = FUGO_BINARY_DIR "/daemon/fugod", config = site.config().string();
  pid_ = ::fork();
  if (pid_ != 0) return;
  const int fd = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(fd, STDOUT_FILENO);
  ::dup2(fd, STDERR_FILENO);
  ::setenv("NOTIFY_SOCKET", notify.c_str(), 1);
  for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
  ::execl(program.c_str(), program.c_str(), "--config", config.c_str(), nullptr);
  ::_exit(127);
}

RunningDaemon::~RunningDaemon() {
  if (!ended()) kill_now();
  ::close(socket_);
  std::error_code ignored;
  fs::remove_all(scratch_, ignored);
}

void RunningDaemon::signal(int number) const { ::kill(pid_, number); }

bool RunningDaemon::ended() {
  if (!reaped_) reaped_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
  return reaped_;
}

int RunningDaemon::end() {
  EXPECT_TRUE(wait_for([&] { return ended(); })) << log();
  return exit_code_of(status_);
}

int RunningDaemon::stop() {
  signal(SIGTERM);
  return end();
}

void RunningDaemon::kill_now() {
  if (ended()) return;
  signal(SIGKILL);
  reaped_ = ::waitpid(pid_, &status_, 0) == pid_;
}

const std::string& RunningDaemon::notices() {
  std::array<char, 4096> message{};
  for (ssize_t got = 0; (got = ::recv(socket_, message.data(), message.size(), 0)) > 0;)
    notices_ += std::string(message.data(), static_cast<std::size_t>(got)) + "\n";
  return notices_;
}

std::string RunningDaemon::log() const {
  const std::ifstream file(log_, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void drop(const TestSite& site, const std::string& name, const std::string& text) {
  const auto inbox = folder(site, "inbox");
  if (fs::create_directory(inbox)) fs::permissions(inbox, fs::perms::owner_all);
  write_file(inbox / ".dropping", text);
  fs::rename(inbox / ".dropping", inbox / name);
}

fs::path folder(const TestSite& site, const std::string& name) { return site.directory() / name; }

bool answered(const TestSite& site, const std::string& id) {
  return fs::exists(folder(site, "outbox") / id / "summary.json");
}

bool refused(const TestSite& site, const std::string& id) {
  return fs::exists(folder(site, "refused") / id / "reason.txt") &&
         !fs::exists(folder(site, "refused") / id / ".request");
}

std::vector<std::string> entries(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (entry.path().filename().native().front() != '.')
      names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace fugo::test
