// The commands of docs/key-compromise.md, as they stand there.
#include <gtest/gtest.h>

#include "tests/daemon/regenerate/regenerated_site.h"
#include "tests/daemon/shell_blocks.h"

namespace fugo::test {
namespace {

// An agency's own table: what it keeps about each person.
void write_data(const std::filesystem::path& path, const std::map<std::size_t, std::string>& who) {
  std::string text = "symbol,file\n";
  for (const auto& [resident, symbol] : who)
    text += symbol + ",F" + std::to_string(resident) + "\n";
  write_file(path, text);
}

std::map<std::size_t, std::string> read_data(const std::filesystem::path& path) {
  std::map<std::size_t, std::string> who;
  const auto lines = split_lines(read_file(path));
  for (std::size_t i = 1; i < lines.size(); ++i)
    who[std::stoul(lines[i].at(1).substr(1))] = lines[i].at(0);
  return who;
}

TEST(WalkThrough, ItsCommandsMoveEveryAgency) {
  const TestSite site;
  const auto old = issue_everybody(site, 30, {"131016", "472018"});
  for (const auto& [agency, symbols] : old)
    write_data(site.directory() / ("agency-" + agency + ".csv"), symbols);
  const auto walk = run_document("key-compromise.md", site.directory());
  ASSERT_EQ(walk.exit_code, 0) << walk.log;
  // The mapping file alone was enough: what each agency has now is what it is answered.
  const auto now = [&](const std::string& agency) {
    std::vector<TrialRow> rows;
    for (std::size_t i = 0; i < 30; ++i)
      rows.push_back({"PN" + std::to_string(100 + i), agency, resident_code(i)});
    const std::string id = "NOW" + agency;
    write_file(site.scratch() / id, request_text(id, rows));
    EXPECT_EQ(site.run({"issue", (site.scratch() / id).string(), "--out",
                        (site.scratch() / "out").string()})
                  .exit_code,
              0);
    std::map<std::size_t, std::string> symbols;
    const auto answered1 = read_answers(site.scratch() / "out" / id);
    for (const auto& [number, answer] : answered1.at(agency))
      symbols[std::stoul(number.substr(2)) - 100] = answer.symbol;
    return symbols;
  };
  for (const auto& [agency, symbols] : old) {
    const auto moved = read_data(site.directory() / ("agency-" + agency + "-new.csv"));
    expect_same({{agency, moved}}, {{agency, now(agency)}}, "moved");
    for (const auto& [resident, symbol] : symbols) EXPECT_NE(moved.at(resident), symbol);
  }
}

}  // namespace
}  // namespace fugo::test
