// A site with something of everything in it, and what it must be after a restoration.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/jobs/trial_requests.h"

namespace fugo::test {

// BackupSite is a site with people at several agencies, some changed and some deleted.
class BackupSite {
 public:
  BackupSite() {
    symbols_ = issue_everybody(site_, kPeople, {"131016", "472018", "141003"});
    EXPECT_EQ(run_kind(site_, "C1", "change",
                       kind_text("C1", "change", {{resident_code(3), resident_code(300)}}))
                  .exit_code,
              0);
    EXPECT_EQ(run_kind(site_, "D1", "delete",
                       kind_text("D1", "delete", {{resident_code(5), "clerical_error"}}),
                       {"--confirm", "1"})
                  .exit_code,
              0);
  }

  [[nodiscard]] const TestSite& site() const { return site_; }
  [[nodiscard]] std::filesystem::path backup(const std::string& name = "backup") const {
    return site_.scratch() / name;
  }
  [[nodiscard]] std::filesystem::path restored(const std::string& name = "restored") const {
    return site_.scratch() / name;
  }
  [[nodiscard]] CommandResult make_backup(const std::string& name = "backup",
                                          const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"--json", "backup", backup(name).string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return site_.run(arguments);
  }
  [[nodiscard]] CommandResult restore(const std::string& name = "backup",
                                      const std::string& to = "restored") const {
    return site_.run({"--json", "restore", backup(name).string(), "--dir", restored(to).string()});
  }
  // run_restored is the command on the site that was restored.
  [[nodiscard]] CommandResult run_restored(std::vector<std::string> arguments,
                                           const std::string& to = "restored") const {
    arguments.insert(arguments.begin(), {"--config", (restored(to) / "fugo.toml").string()});
    return run_fugo(arguments);
  }
  // expect_same_site compares people, issuances, times and symbols with this site's.
  void expect_same_site(const std::string& to = "restored") const {
    EXPECT_EQ(run_restored({"digest"}, to).out, site_.run({"digest"}).out);
    EXPECT_EQ(run_restored({"agency", "list"}, to).out, site_.run({"agency", "list"}).out);
    EXPECT_EQ(run_restored({"verify"}, to).exit_code, 0);
    write_file(site_.scratch() / "ask", symbols_.at("131016").at(7) + "\n");
    const auto linked = site_.scratch() / "linked";
    std::filesystem::remove(linked);
    const auto done = run_restored({"link", (site_.scratch() / "ask").string(), "--from", "131016",
                                    "--to", "472018", "--out", linked.string()},
                                   to);
    ASSERT_EQ(done.exit_code, 0) << done.err;
    EXPECT_THAT(read_file(linked), ::testing::HasSubstr(",ok," + symbols_.at("472018").at(7)));
  }

 private:
  static constexpr std::size_t kPeople = 60;
  TestSite site_;
  std::map<std::string, std::map<std::size_t, std::string>> symbols_;
};

}  // namespace fugo::test
