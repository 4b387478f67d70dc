// A first site with people, a folder of shipments, and a second site with the standby token alone.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/jobs/trial_requests.h"

namespace fugo::test {

// TwoSites is both. Symbols of residents [0, kPeople) at three agencies are issued at the first.
class TwoSites {
 public:
  static constexpr std::size_t kPeople = 30;

  TwoSites() {
    std::filesystem::create_directory(folder());
    symbols_ = issue_everybody(first_, kPeople, {"131016", "472018", "141003"});
  }

  [[nodiscard]] const TestSite& first() const { return first_; }
  [[nodiscard]] std::filesystem::path scratch() const { return first_.scratch(); }
  [[nodiscard]] std::filesystem::path folder() const { return scratch() / "shipments"; }
  [[nodiscard]] std::filesystem::path shipment(int number) const {
    auto digits = std::to_string(number);
    return folder() / ("shipment-" + std::string(10 - digits.size(), '0') + digits);
  }
  [[nodiscard]] std::filesystem::path second(const std::string& name = "second") const {
    return scratch() / name;
  }
  [[nodiscard]] const std::map<std::string, std::map<std::size_t, std::string>>& symbols() const {
    return symbols_;
  }

  [[nodiscard]] CommandResult ship(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {"--json", "ship", folder().string()};
    words.insert(words.end(), more.begin(), more.end());
    return first_.run(words);
  }
  // found makes the second site from what lies in the folder.
  [[nodiscard]] CommandResult found(const std::string& name = "second") const {
    return first_.run({"--json", "follow", folder().string(), "--dir", second(name).string()});
  }
  [[nodiscard]] CommandResult follow(const std::vector<std::string>& more = {},
                                     const std::string& name = "second") const {
    std::vector<std::string> words = {"--json", "follow", folder().string()};
    words.insert(words.end(), more.begin(), more.end());
    return at_second(words, name);
  }
  [[nodiscard]] CommandResult take_over(const std::vector<std::string>& more = {},
                                        const std::string& name = "second") const {
    std::vector<std::string> words = {"--json", "takeover", "--reason", "fire"};
    words.insert(words.end(), more.begin(), more.end());
    return at_second(words, name);
  }
  // at_second is the command on the second site.
  [[nodiscard]] CommandResult at_second(std::vector<std::string> words,
                                        const std::string& name = "second") const {
    words.insert(words.begin(), {"--config", (second(name) / "fugo.toml").string()});
    return run_fugo(words);
  }
  // issue_at issues one symbol with the configuration of a site; its line of the answer.
  [[nodiscard]] std::string issue_at(const std::filesystem::path& config, const std::string& id,
                                     const std::string& agency, std::uint64_t resident) const {
    const auto request = scratch() / (id + ".csv"), out = config.parent_path() / "answers";
    write_file(request, request_text(id, {{"1", agency, resident_code(resident)}}));
    const auto done =
        run_fugo({"--config", config.string(), "issue", request.string(), "--out", out.string()});
    EXPECT_EQ(done.exit_code, 0) << done.err;
    if (done.exit_code != 0) return {};
    return split_lines(read_file(out / id / (agency + ".csv"))).back()[1];
  }
  [[nodiscard]] std::string issue_first(const std::string& id, std::uint64_t resident) const {
    return issue_at(first_.config(), id, "131016", resident);
  }
  [[nodiscard]] std::string issue_second(const std::string& id, std::uint64_t resident,
                                         const std::string& name = "second") const {
    return issue_at(second(name) / "fugo.toml", id, "131016", resident);
  }
  [[nodiscard]] std::string digest_first() const { return first_.run({"digest"}).out; }
  [[nodiscard]] std::string digest_second(const std::string& name = "second") const {
    return at_second({"digest"}, name).out;
  }
  // link_second links one symbol at the second site to 472018.
  [[nodiscard]] std::string link_second(const std::string& symbol,
                                        const std::string& from = "131016") const {
    write_file(scratch() / "ask", symbol + "\n");
    const auto answer = scratch() / "linked";
    std::filesystem::remove(answer);
    const auto done = at_second({"link", (scratch() / "ask").string(), "--from", from, "--to",
                                 "472018", "--out", answer.string()});
    if (!std::filesystem::exists(answer)) return done.err;
    return read_file(answer);
  }

 private:
  TestSite first_;
  std::map<std::string, std::map<std::size_t, std::string>> symbols_;
};

}  // namespace fugo::test
