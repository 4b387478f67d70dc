#include "tests/daemon/regenerate/crash_site.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/daemon/jobs/merge_requests.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
using testing::FaultOutcome;
using testing::FaultPlan;
using testing::run_with_faults;

constexpr std::size_t kPeople = 12;
constexpr const char* kFrom = "131016";
constexpr const char* kInto = "472018";

bool before(const std::string& name, const std::string& step) {
  static const std::vector<std::string> kOrder = {"plan", "run", "commit", "ack", "finish"};
  const auto at = [](const std::string& word) {
    return std::find(kOrder.begin(), kOrder.end(), word) - kOrder.begin();
  };
  if (step == "merge") return false;
  if (step == "abort") return name == "plan" || name == "run";
  if (name == "ack") return false;
  return at(name) < at(step.substr(0, step.find(' ')));
}

// Keys of a plan that was taken back must not be left in any token.
std::size_t token_objects(const fs::path& tokens) {
  std::size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(tokens))
    count += entry.path().extension() == ".object" ? 1 : 0;
  return count;
}

}  // namespace

CrashSite::CrashSite(const CrashCase& which) : case_(which) {
  site_.set_config("[ledger]", "[issue]\nsegment_rows = 11\n\n[ledger]");
  (void)issue_everybody(site_, kPeople, kHolders);
  EXPECT_EQ(run_kind(site_, "C1", "change",
                     kind_text("C1", "change", {{resident_code(4), resident_code(100)}}))
                .exit_code,
            0);
  std::vector<TrialRow> rows;
  for (std::size_t i = 0; i < kPeople; ++i)
    rows.push_back({"PN" + std::to_string(i), kFrom, resident_code(i == 4 ? 100 : i)});
  write_file(site_.scratch() / "codes.csv", request_text("CODES", rows));
  // Somebody whom only the merger's one agency knows.
  (void)issue_some(site_, "ONE", kFrom, {200});
  if (case_.step != "plan" && case_.step != "merge") run_ = plan_run(site_, case_.what);
  for (const char* name : {"run", "commit"}) {
    if (!before(name, case_.step)) continue;
    std::vector<std::string> words = step_words(name);
    const auto done = site_.run(words);
    EXPECT_EQ(done.exit_code, 0) << name << ": " << done.err;
  }
  // It gives files of the new generation numbers of the writer's own.
  if (case_.step == "abort") delete_one(site_, "GONE", kPeople - 1);
  save();
}

std::vector<std::string> CrashSite::step_words(const std::string& name) const {
  std::vector<std::string> words{"regenerate", name, run_};
  if (name == "run") words.insert(words.end(), {"--out", maps().string()});
  if (name == "run" && case_.what == "rebase")
    words.insert(words.end(), {"--codes", (site_.scratch() / "codes.csv").string()});
  if (name == "finish") words.emplace_back("--without-acks");
  if (name == "ack") words.insert(words.end(), {"--agency", kFrom});
  if (name == "commit --reject-old") words = {"regenerate", "commit", run_, "--reject-old"};
  if (name == "plan") words = {"regenerate", "plan", "--what", case_.what, "--reason", "a trial"};
  if (name == "merge")
    words = {"agency", "merge", "--from", kFrom, "--to", kInto, "--out", maps().string()};
  return words;
}

std::vector<std::string> CrashSite::words() const {
  std::vector<std::string> words = {std::string(FUGO_BINARY_DIR) + "/daemon/fugo", "--config",
                                    site_.config().string()};
  const auto step = step_words(case_.step);
  words.insert(words.end(), step.begin(), step.end());
  return words;
}

std::vector<std::pair<fs::path, fs::path>> CrashSite::places() const {
  const auto saved = site_.scratch() / "saved";
  std::vector<std::pair<fs::path, fs::path>> places;
  for (const char* name : {"ledger", "records", "recovery"})
    places.emplace_back(site_.directory() / name, saved / name);
  places.emplace_back(maps(), saved / "maps");
  if (case_.step == "plan") places.emplace_back(site_.directory() / "tokens", saved / "tokens");
  return places;
}

void CrashSite::save() const {
  fs::create_directory(site_.scratch() / "saved");
  if (case_.step == "merge") fs::create_directory(maps());
  for (const auto& [from, to] : places())
    if (fs::exists(from)) fs::copy(from, to, fs::copy_options::recursive);
}

void CrashSite::reset() const {
  for (const auto& [from, to] : places()) {
    fs::remove_all(from);
    if (fs::exists(to)) fs::copy(to, from, fs::copy_options::recursive);
  }
}

FaultOutcome CrashSite::give(FaultPlan plan) const {
  plan.under = site_.scratch();
  plan.except = {site_.directory() / "tokens"};
  return run_with_faults(words(), plan);
}

std::string CrashSite::settle(const Left& expected) const {
  const FaultOutcome again = give({});
  if (again.exit_code == 0) return {};
  if (case_.step == "plan" && again.exit_code == 1 && state() == expected.state) return {};
  return "given again it ended with " + std::to_string(again.exit_code) + ": " + again.errors;
}

// Of a run its state and who has acknowledged; of a plan also which keys there are, and that each
// is in the token as it should be; of a merger the agencies.
std::string CrashSite::state() const {
  std::string text;
  if (case_.step == "merge") {
    for (const auto& [code, state] : agency_states(site_)) text += code + " " + state + "\n";
    return text;
  }
  std::string run = run_;
  if (case_.step == "plan") {
    const auto runs = site_.run({"--json", "regenerate", "status"}).json()["runs"];
    run = runs.empty() ? std::string() : runs.back()["run"].get<std::string>();
    std::map<std::string, int> keys;  // versions differ: a broken plan uses them up
    for (const auto& key : site_.run({"--json", "keys", "list"}).json()["keys"])
      if (key["state"] == "pending" || key["state"] == "active")
        ++keys[key["purpose"].get<std::string>() + " " + key["state"].get<std::string>() +
               (key["as_expected"] == true ? "" : " and not as expected")];
    for (const auto& [key, count] : keys) text += key + ": " + std::to_string(count) + "\n";
    text += std::to_string(token_objects(site_.directory() / "tokens")) + " objects in tokens\n";
  }
  if (run.empty()) return text + "no run";
  const auto status = step(site_, "status", run).json();
  text += status["state"].get<std::string>();
  for (const auto& row : status["mappings"])
    if (!row["acknowledged"].is_null()) text += " " + row["agency"].get<std::string>();
  return text;
}

Left CrashSite::left() const {
  const auto folder =
      case_.step == "merge" ? maps() / merge_id(kFrom, kInto) : mapping_folder(site_, run_);
  Left left{{}, {}, digest_of(site_), state()};
  if (!run_.empty() || case_.step == "merge")
    left.answers = fs::exists(folder) ? csv_files(folder) : left.answers;
  const auto aliases = aliases_file(site_, run_);
  if (fs::exists(aliases)) left.records = read_file(aliases);
  return left;
}

std::string CrashSite::litter() const {
  std::string names;
  const auto folder =
      case_.step == "merge" ? maps() / merge_id(kFrom, kInto) : mapping_folder(site_, run_);
  for (const auto& place : {maps(), folder, site_.directory() / "records"})
    if (fs::exists(place))
      for (const auto& entry : fs::directory_iterator(place))
        if (entry.path().filename().string().front() == '.') names += entry.path().string() + "\n";
  for (const auto& name : unnamed_files(site_)) names += name + "\n";
  return names;
}

}  // namespace fugo::test
