// What makes `fugo issue` fail leaves nothing half done: no open job, the same content, and the
// same request goes through once the cause is gone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <functional>

#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::test {
namespace {

using testing::HasSubstr;

// Failure is one cause, and what the command must say about it.
struct Failure {
  const char* name;
  std::function<void(const TestSite&)> cause, cure;
  const char* output;  // within the scratch directory, unless absolute
  RunOptions options;
  int exit_code;
  const char* message;
};

constexpr rlim_t kLockLimit = 2 << 20U;

RunOptions with_lock_limit() {
  RunOptions options;
  options.in_child = [] {
    drop_capability(CAP_IPC_LOCK);
    const rlimit small{kLockLimit, kLockLimit};
    ::setrlimit(RLIMIT_MEMLOCK, &small);
  };
  return options;
}

RunOptions like_anybody() {
  RunOptions options;
  options.in_child = [] {
    drop_capability(CAP_DAC_OVERRIDE);
    drop_capability(CAP_DAC_READ_SEARCH);
  };
  return options;
}

std::filesystem::path request_of(const TestSite& site) { return site.scratch() / "request.csv"; }

std::vector<Failure> failures() {
  const auto nothing = [](const TestSite&) {};
  const auto config = [](const char* from, const char* to) {
    return [=](const TestSite& site) { site.set_config(from, to); };
  };
  const auto mode = [](mode_t bits) {
    return [=](const TestSite& site) { ::chmod(request_of(site).c_str(), bits); };
  };
  const auto move_pin = [](const char* from, const char* to) {
    return [=](const TestSite& site) {
      const auto tokens = site.directory() / "tokens/issuing";
      std::filesystem::rename(tokens / from, tokens / to);
    };
  };
  const auto wrong_pin = [](const TestSite& site) {
    const auto pin = site.directory() / "tokens/issuing/pin";
    std::filesystem::copy_file(pin, site.scratch() / "pin");
    write_file(pin, "7777777\n");
  };
  const auto right_pin = [](const TestSite& site) {
    write_file(site.directory() / "tokens/issuing/pin", read_file(site.scratch() / "pin"));
  };
  return {
      {"wrong PIN", wrong_pin, right_pin, "out", {}, 4, "CKR_PIN_INCORRECT"},
      {"no PIN file",
       move_pin("pin", "away"),
       move_pin("away", "pin"),
       "out",
       {},
       2,
       "issuing/pin"},
      {"no module",
       config("libsofthsm2.so", "libnone.so"),
       config("libnone.so", "libsofthsm2.so"),
       "out",
       {},
       4,
       "libnone.so"},
      {"no token",
       config("token=fugo-issuing", "token=nobody"),
       config("token=nobody", "token=fugo-issuing"),
       "out",
       {},
       4,
       "nobody"},
      {"unreadable request", mode(0), mode(0600), "out", like_anybody(), 1, "Permission denied"},
      {"lock limit", config("\"preferred\"", "\"required\""), nothing, "out", with_lock_limit(), 1,
       "lock"},
      {"directory that cannot be written", nothing, nothing, "/proc", {}, 1, "/proc"},
      {"output below a file", nothing, nothing, "request.csv/out", {}, 1, "request.csv"},
      {"no output", nothing, nothing, "", {}, 2, "--out"},
      {"no temporary directory, which only check needs",
       nothing,
       nothing,
       "out",
       {{{"TMPDIR", "/nonexistent"}}, {}, {}},
       0,
       ""},
  };
}

TEST(IssueFailures, LeaveNothingHalfDone) {
  for (const Failure& failure : failures()) {
    SCOPED_TRACE(failure.name);
    const TestSite site;
    // Enough rows to need more than the small lock limit allows.
    write_file(request_of(site), request_text("J1", trial_rows(0, 20000, {"131016", "472018"})));
    const auto digest = site.run({"--json", "digest"}).json()["digest"];
    failure.cause(site);
    const std::string output =
        *failure.output == '\0' ? "" : (site.scratch() / failure.output).string();
    const auto failed =
        site.run({"issue", request_of(site).string(), "--out", output}, failure.options);
    EXPECT_EQ(failed.exit_code, failure.exit_code) << failed.err;
    EXPECT_THAT(failed.err, HasSubstr(failure.message));
    if (failure.exit_code == 0) continue;
    EXPECT_THAT(failed.err, HasSubstr("nothing was applied"));
    failure.cure(site);
    EXPECT_TRUE(site.run({"--json", "status"}).json()["open_job"].is_null());
    EXPECT_EQ(site.run({"--json", "digest"}).json()["digest"], digest);
    const auto again =
        site.run({"issue", request_of(site).string(), "--out", (site.scratch() / "out").string()});
    EXPECT_EQ(again.exit_code, 0) << again.err;
  }
}

TEST(IssueFailures, CheckSaysWhatItNeeds) {
  const TestSite site;
  write_file(request_of(site), request_text("J1", trial_rows(0, 10, {"131016"})));
  const auto failed = site.run({"--json", "check", request_of(site).string()},
                               {{{"TMPDIR", "/nonexistent"}}, {}, {}});
  EXPECT_EQ(failed.exit_code, 1);
  EXPECT_EQ(failed.json()["error"]["code"], "io");
}

TEST(IssueFailures, CheckNamesTheRows) {
  const TestSite site;
  auto rows = trial_rows(0, 10, {"131016"});
  const std::size_t good = rows.size();
  rows.push_back({"X1", "999999", resident_code(77)});
  write_file(request_of(site), request_text("J1", rows));
  const auto checked = site.run({"check", request_of(site).string()});
  EXPECT_EQ(checked.exit_code, 3);
  EXPECT_THAT(checked.out, HasSubstr("line " + std::to_string(good + 3) + ": unknown_agency"));
}

}  // namespace
}  // namespace fugo::test
