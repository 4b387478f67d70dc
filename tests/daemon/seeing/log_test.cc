// Logs: what a line looks like, and what cannot get into one.
#include "daemon/seeing/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/secret.h"
#include "base/text.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::daemon {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// What a secret is kept in cannot become a field. Each line here fails to compile when it could.
template <typename T>
concept CanBeJob = requires(const T& value) {
  field::job(value);
};
template <typename T>
concept CanBeRows = requires(const T& value) {
  field::rows(value);
};
template <typename T>
concept CanBeFile = requires(const T& value) {
  field::file(value);
};
template <typename T>
concept Loggable = CanBeJob<T> || CanBeRows<T> || CanBeFile<T> ||
    std::constructible_from<LogField, const char*, T> || std::convertible_to<T, LogField> ||
    std::convertible_to<T, LogMessage>;
static_assert(CanBeJob<std::string> && CanBeRows<std::uint64_t>);
static_assert(!Loggable<Block>);
static_assert(!Loggable<ByteView>);
static_assert(!Loggable<SecretBuffer>);
static_assert(!Loggable<SecretBytes<32>>);
static_assert(!Loggable<SecretArray<std::uint64_t>>);
static_assert(!Loggable<std::array<std::uint8_t, 8>>);
static_assert(!Loggable<keystore::PersonRecord>);
static_assert(!Loggable<char> && !Loggable<std::uint8_t> && !Loggable<bool>);
static_assert(!CanBeRows<double> && !CanBeRows<int> && !CanBeRows<std::string>);
static_assert(!std::convertible_to<std::string, LogMessage>);
static_assert(!std::convertible_to<std::string_view, LogMessage>);

// Captured is what went to standard error while it lived.
class Captured {
 public:
  Captured() : saved_(::dup(STDERR_FILENO)) {
    const int fd = ::open(path().c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(fd, STDERR_FILENO);
    ::close(fd);
  }
  ~Captured() {
    ::dup2(saved_, STDERR_FILENO);
    ::close(saved_);
  }
  std::string text() const { return test::read_file(path()); }

 private:
  std::filesystem::path path() const { return directory_.path() / "log"; }
  test::TemporaryDirectory directory_;
  int saved_;
};

TEST(Log, ALineOfText) {
  ASSERT_TRUE(set_time_zone("Asia/Tokyo"));
  const Captured captured;
  start_log("fugod", LogFormat::kText, LogLevel::kInfo);
  log_info("the job was answered", {field::job("J1"), field::kind(keystore::JobKind::kIssue),
                                    field::rows(std::uint64_t{3}), field::seconds(1.5)});
  EXPECT_THAT(captured.text(),
              EndsWith(" fugod info: the job was answered job=J1 kind=issue rows=3 "
                       "seconds=1.500\n"));
  EXPECT_THAT(captured.text(), HasSubstr("+09:00 "));
}

TEST(Log, ALineOfJson) {
  const Captured captured;
  start_log("fugod", LogFormat::kJson, LogLevel::kInfo);
  log_failure("the job failed", Error{ErrorCode::kHsm, "a \"b\"\nc", "C_Sign", {}},
              {field::job("J1"), field::rows(std::uint64_t{3})});
  const auto line = nlohmann::json::parse(captured.text());
  EXPECT_EQ(line["level"], "error");
  EXPECT_EQ(line["program"], "fugod");
  EXPECT_EQ(line["message"], "the job failed");
  EXPECT_EQ(line["job"], "J1");
  EXPECT_EQ(line["rows"], 3);
  EXPECT_EQ(line["code"], "hsm");
  EXPECT_EQ(line["error"], "C_Sign: a \"b\" c");
}

TEST(Log, TheLevelCanBeChanged) {
  const Captured captured;
  start_log("fugod", LogFormat::kText, LogLevel::kWarning);
  log_info("not yet");
  log_debug("not yet");
  EXPECT_THAT(captured.text(), IsEmpty());
  set_log_level(LogLevel::kDebug);
  log_debug("now");
  EXPECT_THAT(captured.text(), HasSubstr("debug: now"));
  set_log_level(LogLevel::kError);
  log_warning("no more");
  EXPECT_THAT(captured.text(), Not(HasSubstr("no more")));
}

TEST(Log, WhatComesFromOutsideCannotMakeLines) {
  const Captured captured;
  start_log("fugod", LogFormat::kText, LogLevel::kInfo);
  log_warning("a file", {field::file("/inbox/a\nfugod error: b\x1b[2J\xff"),
                         field::job(std::string(1000, 'x'))});
  const auto text = captured.text();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_THAT(text, HasSubstr("file=a?fugod?error??b??2J? job=xxx"));
  EXPECT_LT(text.size(), 300U);
}

TEST(Log, WhatUsesSpdlogGoesTheSameWay) {
  const Captured captured;
  start_log("fugod", LogFormat::kText, LogLevel::kInfo);
  spdlog::warn("from {}", "below");
  EXPECT_THAT(captured.text(), HasSubstr("fugod warning: from below\n"));
}

TEST(Log, FieldsBelongToOneLine) {
  const Captured captured;
  start_log("fugod", LogFormat::kText, LogLevel::kInfo);
  log_info("one", {field::job("J1")});
  log_info("two");
  EXPECT_THAT(captured.text(), EndsWith("info: two\n"));
}

TEST(Log, TheJournalIsFoundByItsStream) {
  const Captured captured;
  struct stat status {};
  ASSERT_EQ(::fstat(STDERR_FILENO, &status), 0);
  const auto stream = std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
  ::setenv("JOURNAL_STREAM", stream.c_str(), 1);
  start_log("fugod", LogFormat::kAuto, LogLevel::kInfo);
  log_info("to the journal", {field::job("J1")});
  // systemd adds no time of ours to it; where no journal listens the line comes back bare.
  EXPECT_THAT(captured.text(), testing::AnyOf("", "to the journal job=J1\n"));
  ::setenv("JOURNAL_STREAM", "1:1", 1);
  start_log("fugod", LogFormat::kAuto, LogLevel::kInfo);
  log_info("to standard error");
  EXPECT_THAT(captured.text(), HasSubstr("fugod info: to standard error\n"));
  ::unsetenv("JOURNAL_STREAM");
}

TEST(Log, WordsOfTheConfiguration) {
  EXPECT_EQ(parse_log_level("warning").value(), LogLevel::kWarning);
  EXPECT_EQ(parse_log_format("json").value(), LogFormat::kJson);
  EXPECT_THAT(parse_log_level("loud").error().what,
              HasSubstr(R"("debug", "info", "warning", "error")"));
  EXPECT_FALSE(parse_log_format(""));
}

}  // namespace
}  // namespace fugo::daemon
