// One byte of a copy of the journal, or of a checkpoint, changed: every one is found.
#include <gtest/gtest.h>

#include "daemon/config.h"
#include "daemon/journal/journal_check.h"
#include "daemon/site_access.h"
#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::test {
namespace {

class JournalFlip : public ::testing::Test {
 protected:
  void SetUp() override {
    write_file(path("request"), request_text("I1", {{"1", "131016", resident_code(1)}}));
    ASSERT_EQ(site_.run({"issue", path("request"), "--out", path("out")}).exit_code, 0);
    ASSERT_EQ(site_.run({"journal", "export", "--out", path("journal")}).exit_code, 0);
    ASSERT_EQ(site_.run({"journal", "checkpoint", "--out", path("checkpoint")}).exit_code, 0);
    const auto settings = daemon::load_settings(site_.config());
    ASSERT_TRUE(settings);
    auto opened = daemon::open_ledger(*settings, hsm::TokenRole::kIssuing, keystore::Access::kRead);
    ASSERT_TRUE(opened) << opened.error().message();
    open_ = std::move(*opened);
  }
  void TearDown() override {
    open_ = {};
    hsm::finalize_all();
  }
  [[nodiscard]] std::string path(const std::string& name) const {
    return (site_.scratch() / name).string();
  }
  // flip_each changes each byte in these ways, and expects that `sound` notices.
  template <typename Sound>
  void flip_each(const std::string& name, const std::vector<int>& changes, const Sound& sound) {
    const auto right = read_file(path(name));
    ASSERT_TRUE(sound());
    ASSERT_GT(right.size(), 100U);
    for (std::size_t at = 0; at < right.size(); ++at)
      for (const int change : changes) {
        auto wrong = right;
        wrong[at] = static_cast<char>(wrong[at] ^ change);
        write_file(path(name), wrong);
        EXPECT_FALSE(sound()) << "byte " << at << " of " << right.size() << ", " << change;
      }
    write_file(path(name), right);
    EXPECT_TRUE(sound());
  }

  TestSite site_;
  daemon::OpenLedger open_;
};

TEST_F(JournalFlip, EveryByteOfAnExport) {
  flip_each("journal", {0x01, 0x20}, [&] {
    const auto copy = daemon::compare_copy(*open_.ledger, path("journal"));
    return copy && !copy->parting;
  });
}

TEST_F(JournalFlip, EveryByteOfACheckpoint) {
  flip_each("checkpoint", {0x01, 0x20, 0x80}, [&] {
    return daemon::compare_checkpoint(*open_.ledger, path("checkpoint")).has_value();
  });
}

}  // namespace
}  // namespace fugo::test
