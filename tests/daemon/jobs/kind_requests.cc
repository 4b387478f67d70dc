#include "tests/daemon/jobs/kind_requests.h"

#include <gtest/gtest.h>

#include <sstream>

namespace fugo::test {

std::vector<Fields> split_lines(const std::string& text) {
  std::vector<Fields> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    Fields fields(1);
    for (const char c : line) {
      if (c == ',')
        fields.emplace_back();
      else
        fields.back() += c;
    }
    lines.push_back(std::move(fields));
  }
  return lines;
}

std::string kind_text(const std::string& id, const std::string& kind,
                      const std::vector<std::pair<std::string, std::string>>& rows, bool join) {
  std::string text =
      "#fugo-request,version=1,id=" + id + ",kind=" + kind +
      ",records=" + std::to_string(rows.size()) + (join ? ",join=yes\n" : "\n") +
      (kind == "change" ? "old_resident_code,new_resident_code\n" : "resident_code,reason\n");
  for (const auto& [first, second] : rows) text += first + "," + second + "\n";
  return text;
}

CommandResult run_kind(const TestSite& site, const std::string& id, const std::string& kind,
                       const std::string& text, const std::vector<std::string>& more,
                       const std::string& out) {
  const auto path = site.scratch() / (id + ".csv");
  write_file(path, text);
  std::vector<std::string> words = {kind, path.string(), "--out", (site.scratch() / out).string()};
  words.insert(words.end(), more.begin(), more.end());
  return site.run(words);
}

std::map<std::string, std::map<std::size_t, std::string>> issue_everybody(
    const TestSite& site, std::size_t count, const std::vector<std::string>& agencies) {
  std::vector<TrialRow> rows;
  std::map<std::string, std::pair<std::string, std::size_t>> who;
  for (std::size_t i = 0; i < agencies.size(); ++i)
    for (std::size_t resident = 0; resident < count; ++resident) {
      const std::string number =
          "P" + std::to_string(i) + "X" + std::to_string((resident * 7919 + i * 31) % 100003);
      rows.push_back({number, agencies[i], resident_code(resident)});
      who[number] = {agencies[i], resident};
    }
  const auto done = run_kind(site, "everybody", "issue", request_text("everybody", rows));
  EXPECT_EQ(done.exit_code, 0) << done.err;
  std::map<std::string, std::map<std::size_t, std::string>> symbols;
  for (const auto& [agency, answers] : read_answers(site.scratch() / "out/everybody"))
    for (const auto& [number, answer] : answers) {
      EXPECT_EQ(who[number].first, agency);
      symbols[agency][who[number].second] = answer.symbol;
    }
  return symbols;
}

std::string link_one(const TestSite& site, const std::string& symbol, const std::string& from,
                     const std::string& to) {
  static int number = 0;
  const auto question = site.scratch() / "question";
  const auto answer = site.scratch() / ("linked-" + std::to_string(++number));
  write_file(question, symbol + "\n");
  const auto linked =
      site.run({"link", question.string(), "--from", from, "--to", to, "--out", answer.string()});
  if (linked.exit_code != 0 && linked.exit_code != 3) return linked.err;
  const auto lines = split_lines(read_file(answer));
  if (lines.size() != 2 || lines[1].size() != 3) return "not one line";
  return lines[1][1] + (lines[1][2].empty() ? "" : "," + lines[1][2]);
}

std::string digest_of(const TestSite& site) {
  const auto result = site.run({"digest", "--without-times"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result.out;
}

}  // namespace fugo::test
