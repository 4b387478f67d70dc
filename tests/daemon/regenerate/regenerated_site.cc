#include "tests/daemon/regenerate/regenerated_site.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "daemon/site_access.h"
#include "hsm/token.h"
#include "keystore/bulk_files.h"

namespace fugo::test {

Symbols ask_again(const TestSite& site, const std::string& id, std::size_t count, bool known) {
  std::vector<TrialRow> rows;
  for (std::size_t resident = 0; resident < count; ++resident)
    for (const auto& agency : kHolders)
      rows.push_back({"PN" + std::to_string(1000 + resident), agency, resident_code(resident)});
  write_file(site.scratch() / (id + ".csv"), request_text(id, rows));
  const auto issued = site.run({"--json", "issue", (site.scratch() / (id + ".csv")).string(),
                                "--out", (site.scratch() / "out").string()});
  EXPECT_EQ(issued.exit_code, 0) << issued.err;
  if (known) {
    EXPECT_EQ(issued.json()["people_new"], 0) << id;
  }
  Symbols symbols;
  for (const auto& [agency, answers] : read_answers(site.scratch() / "out" / id))
    for (const auto& [number, answer] : answers)
      symbols[agency][std::stoul(number.substr(2)) - 1000] = answer.symbol;
  return symbols;
}

std::string plan_run(const TestSite& site, const std::string& what,
                     const std::vector<std::string>& more) {
  std::vector<std::string> words{"--json", "regenerate", "plan",   "--what",
                                 what,     "--reason",   "a trial"};
  words.insert(words.end(), more.begin(), more.end());
  const auto planned = site.run(words);
  EXPECT_EQ(planned.exit_code, 0) << planned.err;
  return planned.exit_code == 0 ? planned.json()["run"].get<std::string>() : std::string();
}

CommandResult step(const TestSite& site, const std::string& name, const std::string& run,
                   const std::vector<std::string>& more) {
  std::vector<std::string> words{"--json", "regenerate", name, run};
  if (name == "run") words.insert(words.end(), {"--out", (site.scratch() / "maps").string()});
  words.insert(words.end(), more.begin(), more.end());
  return site.run(words);
}

std::filesystem::path mapping_folder(const TestSite& site, const std::string& run) {
  return site.scratch() / "maps" / run;
}

std::filesystem::path aliases_file(const TestSite& site, const std::string& run) {
  return site.directory() / "records" / (run + ".csv");
}

Mapping read_mapping(const TestSite& site, const std::string& run, const std::string& agency) {
  const auto lines = split_lines(read_file(mapping_folder(site, run) / (agency + ".csv")));
  Mapping mapping;
  EXPECT_GE(lines.size(), 2U);
  EXPECT_EQ(lines.at(0).at(0), "#fugo-mapping");
  EXPECT_EQ(lines.at(0).at(2), "run=" + run);
  EXPECT_EQ(lines.at(0).at(3), "agency=" + agency);
  EXPECT_EQ(lines.at(0).at(6), "records=" + std::to_string(lines.size() - 2));
  EXPECT_EQ(lines.at(1), (Fields{"old_symbol", "new_symbol"}));
  EXPECT_TRUE(std::is_sorted(lines.begin() + 2, lines.end()));
  for (std::size_t i = 2; i < lines.size(); ++i) mapping[lines[i].at(0)] = lines[i].at(1);
  EXPECT_EQ(mapping.size(), lines.size() - 2);
  return mapping;
}

Symbols translate(const TestSite& site, const std::string& run, const Symbols& old) {
  Symbols translated;
  for (const auto& [agency, symbols] : old) {
    const Mapping mapping = read_mapping(site, run, agency);
    for (const auto& [resident, symbol] : symbols) {
      const auto found = mapping.find(symbol);
      EXPECT_NE(found, mapping.end()) << agency << " " << resident;
      if (found != mapping.end()) translated[agency][resident] = found->second;
    }
  }
  return translated;
}

void expect_same(const Symbols& found, const Symbols& expected, const std::string& when) {
  ASSERT_EQ(found.size(), expected.size()) << when;
  for (const auto& [agency, symbols] : expected) {
    ASSERT_EQ(found.count(agency), 1U) << when << ", " << agency;
    ASSERT_EQ(found.at(agency).size(), symbols.size()) << when << ", " << agency;
    for (const auto& [resident, symbol] : symbols) {
      ASSERT_EQ(found.at(agency).count(resident), 1U) << when << ", " << agency << " " << resident;
      ASSERT_EQ(found.at(agency).at(resident), symbol) << when << ", " << agency << " " << resident;
    }
  }
}

std::vector<std::string> unnamed_files(const TestSite& site) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(site.directory() / "ledger/data"))
    names.push_back(entry.path().filename().string());
  std::set<std::string> named;
  {
    const auto settings = daemon::load_settings(site.config()).value();
    const auto opened =
        daemon::open_ledger(settings, hsm::TokenRole::kIssuing, keystore::Access::kRead);
    EXPECT_TRUE(opened) << (opened ? "" : opened.error().message());
    if (!opened) return names;
    const auto snapshot = opened->ledger->snapshot().value();
    for (const auto& row : snapshot->files()) named.insert(keystore::bulk_file_name(row.number));
  }
  hsm::finalize_all();
  std::erase_if(names, [&](const auto& name) { return named.contains(name); });
  return names;
}

void delete_one(const TestSite& site, const std::string& id, std::size_t resident) {
  const auto done = run_kind(site, id, "delete",
                             kind_text(id, "delete", {{resident_code(resident), "clerical_error"}}),
                             {"--confirm", "1"});
  EXPECT_EQ(done.exit_code, 0) << done.err;
}

void expect_sound(const TestSite& site) {
  const auto verified = site.run({"verify"});
  EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
}

}  // namespace fugo::test
