// Requests over a regeneration that replaces the ledger's own keys: they are known again by their
// content.
#include <gtest/gtest.h>

#include <algorithm>

#include "daemon/config.h"
#include "daemon/jobs/job.h"
#include "daemon/jobs/request_key.h"
#include "daemon/site_access.h"
#include "tests/daemon/regenerate/regenerated_site.h"

namespace fugo::test {
namespace {

constexpr std::size_t kPeople = 12;

void make_ledger_keys_anew(const TestSite& site, const std::string& what = "ledger") {
  const std::string run = plan_run(site, what);
  for (const std::string name : {"run", "commit"}) {
    const auto done = step(site, name, run);
    ASSERT_EQ(done.exit_code, 0) << name << ": " << done.err;
  }
  const auto done = step(site, "finish", run, {"--without-acks"});
  ASSERT_EQ(done.exit_code, 0) << done.err;
}

// Every run makes a new symbol version, also one that leaves the symbols as they were: what was
// answered before its finish is not answered again, and that is what is said of it. Another content
// is still told from the same.
TEST(Requests, OfBeforeAreKnownAgainByTheirContent) {
  for (const std::string what : {"ledger", "linkage,ledger"}) {
    SCOPED_TRACE(what);
    const TestSite site;
    (void)issue_everybody(site, kPeople, kHolders);
    const std::string issue = read_file(site.scratch() / "everybody.csv");
    make_ledger_keys_anew(site, what);
    const auto same = run_kind(site, "everybody", "issue", issue, {}, "again");
    EXPECT_EQ(same.exit_code, 1);
    EXPECT_NE(same.err.find("which are not accepted any more"), std::string::npos) << same.err;
    auto rows = issue;
    rows.replace(rows.rfind(",13"), 3, ",47");
    const auto other = run_kind(site, "everybody", "issue", rows, {}, "again");
    EXPECT_EQ(other.exit_code, 1);
    EXPECT_NE(other.err.find("used before with other content"), std::string::npos) << other.err;
    EXPECT_FALSE(std::filesystem::exists(site.scratch() / "again/everybody"));
    expect_sound(site);
  }
}

TEST(Requests, ThatAreHeldAreTheSameAfterwards) {
  const TestSite files;
  (void)issue_everybody(files, kPeople, kHolders);
  const auto settings = daemon::load_settings(files.config()).value();
  const auto open = [&] {
    return daemon::open_site(settings, hsm::TokenRole::kIssuing, keystore::Access::kWrite).value();
  };
  daemon::JobOptions options;
  options.request = files.scratch() / "D1.work";
  write_file(options.request, kind_text("D1", "delete", {{resident_code(0), "clerical_error"}}));
  options.output_directory = files.scratch() / "outbox";
  options.records_directory = files.directory() / "records";
  options.actor = {"fugod", ""};
  options.hold = options.own_request = true;
  options.delete_reasons = {"clerical_error"};
  {
    const auto site = open();
    ASSERT_TRUE(daemon::run_job(*site, options)->held);
  }
  make_ledger_keys_anew(files);
  const auto site = open();
  auto row = site->ledger().find_job("D1").value().value();
  row.approved_by = "alice,bob";
  const auto update = site->ledger().begin().value();
  ASSERT_TRUE(update->put_job(row));
  ASSERT_TRUE(update->commit());
  const auto report = daemon::run_job(*site, options);
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_FALSE(report->held);
  EXPECT_EQ(report->count_deleted, 1U);
}

// Whoever links reads the ledger, but cannot try what a request held: the key of its hash is made
// in the issuing token.
TEST(Requests, TellTheLinkingSideNothing) {
  const TestSite files;
  (void)issue_everybody(files, 1, kHolders);
  const auto settings = daemon::load_settings(files.config()).value();
  daemon::RequestKeySource source{};
  SecretBytes<32> key;
  {
    const auto issuing =
        daemon::open_site(settings, hsm::TokenRole::kIssuing, keystore::Access::kRead).value();
    source = issuing->ledger().find_job("everybody").value().value().request_key;
    key = daemon::request_key(*issuing, source).value();
    EXPECT_TRUE(key == daemon::request_key(*issuing, source).value());
    EXPECT_NE(std::search(source.begin(), source.end(), key.data(), key.data() + 8),
              source.begin());
    auto other = source;
    other[0] ^= 1;
    EXPECT_FALSE(key == daemon::request_key(*issuing, other).value());
  }
  const auto linking =
      daemon::open_site(settings, hsm::TokenRole::kLinking, keystore::Access::kRead).value();
  const auto job = linking->ledger().find_job("everybody").value().value();
  EXPECT_EQ(job.request_key, source) << "what it is made from can be read";
  const auto refused = daemon::request_key(*linking, job.request_key);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
}

}  // namespace
}  // namespace fugo::test
