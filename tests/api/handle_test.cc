// The C interface: opening and closing, wrong calls, forked children.
#include <fugo/fugo.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <functional>
#include <sstream>
#include <thread>
#include <vector>

#include "tests/api/linked_site.h"

namespace fugo::test {
namespace {

using testing::HasSubstr;

LinkedSite& site() {
  static auto* one = new LinkedSite;
  return *one;
}

class Handle : public testing::Test {
 protected:
  Handle() {
    EXPECT_EQ(fugo_open(site().config().c_str(), nullptr, &handle_, &error_), FUGO_OK)
        << error_.message;
  }
  ~Handle() override { fugo_close(handle_); }
  fugo_status link_once(fugo_linkage* handle) const {
    fugo_agency from = 0, to = 0;
    fugo_find_agency(handle, "131016", &from);
    fugo_find_agency(handle, "472018", &to);
    const char* symbol = site().symbol("131016", 1).c_str();
    fugo_symbol linked;
    const auto status = fugo_link(handle, 1, &from, &to, &symbol, &linked, nullptr, nullptr);
    if (status == FUGO_OK) {
      EXPECT_EQ(linked.text, site().symbol("472018", 1));
    }
    return status;
  }
  fugo_error error_ = FUGO_ERROR_INIT;
  fugo_linkage* handle_ = nullptr;
};

// in_child runs `work` in a forked child, and gives its exit code.
int in_child(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST_F(Handle, OpensAndLinks) { EXPECT_EQ(link_once(handle_), FUGO_OK); }

TEST_F(Handle, TwoOfOneProcess) {
  fugo_linkage* second = nullptr;
  ASSERT_EQ(fugo_open(site().config().c_str(), nullptr, &second, &error_), FUGO_OK);
  EXPECT_EQ(link_once(second), FUGO_OK);
  fugo_close(second);
  EXPECT_EQ(link_once(handle_), FUGO_OK);
}

TEST_F(Handle, CanBeOpenedAgain) {
  for (int i = 0; i < 3; ++i) {
    fugo_close(handle_);
    ASSERT_EQ(fugo_open(site().config().c_str(), nullptr, &handle_, &error_), FUGO_OK)
        << error_.message;
    EXPECT_EQ(link_once(handle_), FUGO_OK);
  }
}

TEST_F(Handle, ConfigurationFromTheEnvironment) {
  ::setenv("FUGO_CONFIG", site().config().c_str(), 1);
  fugo_linkage* other = nullptr;
  EXPECT_EQ(fugo_open(nullptr, nullptr, &other, nullptr), FUGO_OK);
  fugo_close(other);
  ::unsetenv("FUGO_CONFIG");
}

TEST_F(Handle, OptionsGoBeforeTheConfiguration) {
  fugo_options options = FUGO_OPTIONS_INIT;
  options.index = FUGO_INDEX_AHEAD;
  options.index_mib = 16;
  fugo_linkage* other = nullptr;
  EXPECT_EQ(fugo_open(site().config().c_str(), &options, &other, &error_), FUGO_OK);
  fugo_close(other);
  options.index = 3;
  EXPECT_EQ(fugo_open(site().config().c_str(), &options, &other, &error_), FUGO_BAD_CONFIGURATION);
  EXPECT_THAT(std::string(error_.message), HasSubstr("fugo_options.index"));
}

TEST_F(Handle, FailuresSayWhy) {
  fugo_linkage* none = handle_;
  EXPECT_EQ(fugo_open("/nonexistent/fugo.toml", nullptr, &none, &error_), FUGO_BAD_CONFIGURATION);
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(error_.status, FUGO_BAD_CONFIGURATION);
  EXPECT_THAT(std::string(error_.message), HasSubstr("there is no such configuration file"));
  const TestSite other;
  other.set_config("[hsm.linking]", "[hsm.linkage]");
  EXPECT_EQ(fugo_open(other.config().c_str(), nullptr, &none, &error_), FUGO_BAD_CONFIGURATION);
  EXPECT_THAT(std::string(error_.message), HasSubstr("hsm.linkage is not a known section"));
  // A message that is too long is cut between characters.
  std::string text;
  for (int i = 0; i < 300; ++i) text += "key_" + std::to_string(i) + " = \"\"\n";
  write_file(other.config(), text);
  EXPECT_EQ(fugo_open(other.config().c_str(), nullptr, &none, &error_), FUGO_BAD_CONFIGURATION);
  EXPECT_EQ(std::strlen(error_.message), sizeof(error_.message) - 1);
}

TEST_F(Handle, UsesThatCannotBeCountedAreRefused) {
  const TestSite other;
  std::filesystem::remove_all(other.directory() / "link-usage");
  write_file(other.directory() / "link-usage", "a file");
  fugo_close(handle_);  // one process can see the tokens of one SoftHSM configuration at a time
  handle_ = nullptr;
  fugo_linkage* none = nullptr;
  EXPECT_NE(fugo_open(other.config().c_str(), nullptr, &none, &error_), FUGO_OK);
  EXPECT_EQ(none, nullptr);
  EXPECT_THAT(std::string(error_.message), HasSubstr("link-usage"));
}

TEST_F(Handle, NullsAndWrongSizesAreBadCalls) {
  const auto config = site().config();
  fugo_linkage* other = nullptr;
  EXPECT_EQ(fugo_open(config.c_str(), nullptr, nullptr, &error_), FUGO_BAD_CALL);
  fugo_error small = FUGO_ERROR_INIT;
  small.size = 8;
  EXPECT_EQ(fugo_open(config.c_str(), nullptr, &other, &small), FUGO_BAD_CALL);
  fugo_options options = FUGO_OPTIONS_INIT;
  options.size = 4;
  EXPECT_EQ(fugo_open(config.c_str(), &options, &other, nullptr), FUGO_BAD_CALL);
  EXPECT_EQ(fugo_health(handle_, nullptr), FUGO_BAD_CALL);
  fugo_health_report report = FUGO_HEALTH_INIT;
  report.size = 16;
  EXPECT_EQ(fugo_health(handle_, &report), FUGO_BAD_CALL);
  EXPECT_EQ(fugo_health(nullptr, &report), FUGO_BAD_CALL);
  fugo_agency agency = 7;
  EXPECT_EQ(fugo_find_agency(handle_, nullptr, &agency), FUGO_BAD_CALL);
  EXPECT_EQ(agency, 0U);
  EXPECT_EQ(fugo_find_agency(handle_, "131016", nullptr), FUGO_BAD_CALL);
  EXPECT_EQ(fugo_prepare(nullptr, 0, nullptr, nullptr), FUGO_BAD_CALL);
  EXPECT_EQ(fugo_prepare(handle_, 1, nullptr, nullptr), FUGO_BAD_CALL);
  fugo_close(nullptr);
}

TEST_F(Handle, AStructureOfALaterCallerIsTaken) {
  struct {
    fugo_health_report report = FUGO_HEALTH_INIT;
    std::uint64_t later = 77;
  } longer;
  longer.report.size = sizeof(longer);
  EXPECT_EQ(fugo_health(handle_, &longer.report), FUGO_OK);
  EXPECT_EQ(longer.report.size, sizeof(longer));
  EXPECT_EQ(longer.later, 77U);
}

TEST_F(Handle, AgenciesAndPreparation) {
  fugo_agency agency = 0;
  EXPECT_EQ(fugo_find_agency(handle_, "131016", &agency), FUGO_OK);
  EXPECT_NE(agency, 0U);
  EXPECT_EQ(fugo_prepare(handle_, 1, &agency, &error_), FUGO_OK) << error_.message;
  EXPECT_EQ(fugo_prepare(handle_, 0, nullptr, nullptr), FUGO_OK);
  fugo_health_report report = FUGO_HEALTH_INIT;
  EXPECT_EQ(fugo_health(handle_, &report), FUGO_OK);
  EXPECT_GE(report.index_entries, 3U);
  EXPECT_GE(report.index_agencies, 2U);
  EXPECT_STREQ(report.last_error, "");
  for (const fugo_agency wrong : {0U, 999U, 65535U, 65536U, 70000U}) {
    const fugo_agency some[] = {agency, wrong};
    EXPECT_EQ(fugo_prepare(handle_, 2, some, &error_), FUGO_UNKNOWN_AGENCY) << wrong;
    EXPECT_EQ(error_.status, FUGO_UNKNOWN_AGENCY);
  }
  EXPECT_EQ(fugo_find_agency(handle_, "999999", &agency), FUGO_UNKNOWN_AGENCY);
  EXPECT_EQ(agency, 0U);
}

// blocked_by_threads gives the signals that each thread of this process but the first has blocked.
std::vector<std::uint64_t> blocked_by_threads() {
  std::vector<std::uint64_t> all;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    if (task.path().filename() == std::to_string(::getpid())) continue;
    std::istringstream status(read_file(task.path() / "status"));
    for (std::string line; std::getline(status, line);)
      if (line.rfind("SigBlk:", 0) == 0) all.push_back(std::stoull(line.substr(7), nullptr, 16));
  }
  return all;
}

// The library's threads take no signal that is meant for the program's, and let those of faults
// come, once they run.
TEST_F(Handle, SignalsAreTheProgramsOwn) {
  ASSERT_EQ(link_once(handle_), FUGO_OK);
  const auto has = [](std::uint64_t blocked, int signal) {
    return (blocked >> (signal - 1) & 1U) != 0;
  };
  const auto right = [&](std::uint64_t blocked) {
    return has(blocked, SIGTERM) && has(blocked, SIGINT) && has(blocked, SIGUSR1) &&
           has(blocked, SIGCHLD) && !has(blocked, SIGSEGV) && !has(blocked, SIGBUS);
  };
  bool all_right = false;
  for (int tries = 0; tries < 2000 && !all_right; ++tries) {
    const auto threads = blocked_by_threads();  // that combine, keep tables, and count uses
    all_right = threads.size() >= 3 && std::all_of(threads.begin(), threads.end(), right);
    if (!all_right) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_TRUE(all_right);
}

// No thread can be made: an error, and nothing is broken afterwards.
TEST_F(Handle, WithoutThreadsNothingIsOpened) {
  fugo_close(handle_);
  handle_ = nullptr;
  pthread_attr_t normal, impossible;
  ASSERT_EQ(::pthread_getattr_default_np(&normal), 0);
  ASSERT_EQ(::pthread_attr_init(&impossible), 0);
  ASSERT_EQ(::pthread_attr_setstacksize(&impossible, std::size_t{1} << 52U), 0);
  ASSERT_EQ(::pthread_setattr_default_np(&impossible), 0);
  EXPECT_EQ(fugo_open(site().config().c_str(), nullptr, &handle_, &error_), FUGO_IO);
  EXPECT_EQ(handle_, nullptr);
  ::pthread_setattr_default_np(&normal);
  ASSERT_EQ(fugo_open(site().config().c_str(), nullptr, &handle_, &error_), FUGO_OK);
  ASSERT_EQ(::pthread_setattr_default_np(&impossible), 0);
  EXPECT_EQ(fugo_prepare(handle_, 0, nullptr, &error_), FUGO_OK) << error_.message;
  EXPECT_EQ(link_once(handle_), FUGO_OK);
  ::pthread_setattr_default_np(&normal);
}

TEST_F(Handle, AForkedChildIsToldSo) {
  const auto forked = [&] {
    fugo_agency agency = 1;
    fugo_person person{};
    fugo_symbol symbol;
    fugo_health_report report = FUGO_HEALTH_INIT;
    const char* text = "";
    fugo_status status = 0;
    const bool told =
        fugo_find_agency(handle_, "131016", &agency) == FUGO_FORKED &&
        fugo_resolve(handle_, 1, &agency, &text, &person, &status) == FUGO_FORKED &&
        status == FUGO_FORKED &&
        fugo_is_issued(handle_, 1, &person, &agency, nullptr) == FUGO_FORKED &&
        fugo_symbol_for(handle_, 1, &person, &agency, &symbol, nullptr) == FUGO_FORKED &&
        fugo_record_symbol(handle_, 1, &person, &symbol, nullptr) == FUGO_FORKED &&
        fugo_link(handle_, 1, &agency, &agency, &text, &symbol, nullptr, nullptr) == FUGO_FORKED &&
        fugo_prepare(handle_, 0, nullptr, nullptr) == FUGO_FORKED &&
        fugo_health(handle_, &report) == FUGO_FORKED;
    fugo_close(handle_);
    fugo_close(handle_);  // still nothing: it is the parent's
    return told ? 0 : 1;
  };
  EXPECT_EQ(in_child(forked), 0);
  EXPECT_EQ(link_once(handle_), FUGO_OK);
}

TEST_F(Handle, AForkedChildOpensForItself) {
  const auto opens = [&] {
    fugo_linkage* own = nullptr;
    if (fugo_open(site().config().c_str(), nullptr, &own, &error_) != FUGO_OK) {
      ADD_FAILURE() << error_.message;
      return 1;
    }
    if (link_once(own) != FUGO_OK) return 2;
    fugo_close(own);
    return link_once(handle_) == FUGO_FORKED ? 0 : 3;
  };
  EXPECT_EQ(in_child(opens), 0);
  EXPECT_EQ(link_once(handle_), FUGO_OK);
}

TEST(Names, OfStatuses) {
  EXPECT_STREQ(fugo_status_name(FUGO_OK), "ok");
  EXPECT_STREQ(fugo_status_name(FUGO_NOT_ISSUED), "not_issued");
  EXPECT_STREQ(fugo_status_name(FUGO_FORKED), "forked");
  EXPECT_STREQ(fugo_status_name(FUGO_BAD_CALL), "bad_call");
  EXPECT_STREQ(fugo_status_name(FUGO_INTERNAL), "internal");
  for (const fugo_status none : {0, 12, 99, 106, -1}) EXPECT_STREQ(fugo_status_name(none), "");
  EXPECT_STREQ(fugo_version(), FUGO_HEADER_VERSION);
}

}  // namespace
}  // namespace fugo::test
