#include "tests/daemon/jobs/merge_requests.h"

#include <gtest/gtest.h>

namespace fugo::test {

std::string merge_id(const std::string& from, const std::string& into) {
  return "merge+" + from + "+" + into;
}

CommandResult run_merge(const TestSite& site, const std::string& from, const std::string& into,
                        const std::string& out) {
  return site.run({"--json", "agency", "merge", "--from", from, "--to", into, "--out",
                   (site.scratch() / out).string()});
}

std::map<std::string, std::string> merged_symbols(const TestSite& site, const std::string& from,
                                                  const std::string& into, const std::string& out) {
  const auto id = merge_id(from, into);
  const auto text = read_file(site.scratch() / out / id / (into + ".csv"));
  const auto lines = split_lines(text);
  EXPECT_EQ(text.substr(0, text.find('\n')), "#fugo-response,version=1,id=" + id +
                                                 ",kind=merge,agency=" + into +
                                                 ",records=" + std::to_string(lines.size() - 2));
  EXPECT_EQ(lines.at(1), (Fields{"old_symbol", "new_symbol"}));
  std::map<std::string, std::string> pairs;
  for (std::size_t i = 2; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i].size(), 2U);
    EXPECT_TRUE(pairs.empty() || pairs.rbegin()->first < lines[i][0]) << "not sorted";
    pairs[lines[i][0]] = lines[i][1];
  }
  return pairs;
}

std::map<std::size_t, std::string> issue_some(const TestSite& site, const std::string& id,
                                              const std::string& agency,
                                              const std::vector<std::size_t>& residents) {
  std::vector<TrialRow> rows;
  for (const std::size_t resident : residents)
    rows.push_back({"R" + std::to_string(resident), agency, resident_code(resident)});
  const auto done = run_kind(site, id, "issue", request_text(id, rows));
  EXPECT_EQ(done.exit_code, 0) << done.err;
  std::map<std::size_t, std::string> symbols;
  const auto answered1 = read_answers(site.scratch() / "out" / id);
  for (const auto& [number, answer] : answered1.at(agency))
    symbols[std::stoul(number.substr(1))] = answer.symbol;
  return symbols;
}

std::map<std::string, std::string> agency_states(const TestSite& site) {
  std::map<std::string, std::string> states;
  const auto list = site.run({"--json", "agency", "list"}).json();
  for (const auto& agency : list["agencies"]) states[agency["code"]] = agency["state"];
  return states;
}

}  // namespace fugo::test
