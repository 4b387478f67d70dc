#include "tests/daemon/regenerate/regeneration_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>

#include "tests/daemon/jobs/merge_requests.h"
#include "tests/fault/run_with_faults.h"

namespace fugo::test {

using fugo::testing::FaultPlan;
using fugo::testing::run_with_faults;

RegenerationModel::RegenerationModel(std::uint64_t seed, bool kills)
    : random_(seed), kills_(kills) {
  site_.set_config("[ledger]", "[issue]\nsegment_rows = 25\nrows_per_day = 100000000\n\n[ledger]");
  issue();
}

bool RegenerationModel::kill_once(const std::vector<std::string>& words) {
  std::vector<std::string> all{std::string(FUGO_BINARY_DIR) + "/daemon/fugo", "--config",
                               site_.config().string()};
  all.insert(all.end(), words.begin(), words.end());
  FaultPlan plan;
  plan.under = site_.scratch();
  plan.except = {site_.directory() / "tokens"};
  plan.kill_at = 1 + chance(usual_steps_);
  plan.kill_after = chance(2) == 0;
  const auto outcome = run_with_faults(all, plan);
  if (outcome.signal == 0) usual_steps_ = std::max<std::uint64_t>(4, outcome.steps);
  return outcome.signal == SIGKILL;
}

CommandResult RegenerationModel::command(std::vector<std::string> words, bool of_run) {
  words.insert(words.begin(), "--json");
  ++counts_.acts;
  for (const auto& word : words) log_ += word + " ";
  if (kills_ && chance(3) == 0) {
    if (kill_once(words)) {
      ++counts_.kills;
      counts_.kills_in_runs += of_run ? 1 : 0;
      log_ += "(killed) ";
    } else {
      log_ += "(given twice) ";
    }
  }
  log_ += "\n";
  return site_.run(words);
}

std::string RegenerationModel::request(const std::string& id, const std::string& text) {
  const auto path = site_.scratch() / (id + ".csv");
  write_file(path, text);
  return path.string();
}

RegenerationModel::Person* RegenerationModel::somebody() {
  return people_.empty() ? nullptr : &people_[chance(people_.size())];
}

void RegenerationModel::act() {
  const std::size_t what = chance(11);
  if (what < 3) return issue();
  if (what == 3) return change();
  if (what == 4) return erase();
  if (what == 5 && stage_ == Stage::kNone && chance(2) == 0) return merge();
  switch (stage_) {
    case Stage::kNone:
      return plan();
    case Stage::kPlanned:
      return chance(6) == 0 ? abort() : run();
    case Stage::kReady:
      return chance(6) == 0 ? abort() : chance(4) == 0 ? run() : commit();
    case Stage::kCommitted:
      return finish();
  }
}

// Some who are known and some who are new, each at some agencies.
void RegenerationModel::issue() {
  const std::string id = "I" + std::to_string(++next_request_);
  std::vector<TrialRow> rows;
  std::vector<std::pair<std::size_t, std::string>> who;  // position in people_, agency
  std::vector<std::size_t> asked;
  for (std::size_t i = 0; i < 12; ++i) {
    if (people_.empty() || chance(2) == 0)
      people_.push_back({next_code_++, {}, {}, ++next_person_});
    asked.push_back(chance(3) == 0 ? chance(people_.size()) : people_.size() - 1);
  }
  std::sort(asked.begin(), asked.end());
  asked.erase(std::unique(asked.begin(), asked.end()), asked.end());
  for (const std::size_t person : asked)
    for (const auto& agency : agencies_) {
      if (chance(3) == 0) continue;
      rows.push_back(
          {"PN" + std::to_string(1000 + who.size()), agency, resident_code(people_[person].code)});
      who.emplace_back(person, agency);
    }
  // A person whom nobody was asked about is not in the ledger.
  const auto path = request(id, request_text(id, rows));
  const auto done = command({"issue", path, "--out", (site_.scratch() / "out").string()});
  ASSERT_EQ(done.exit_code, 0) << done.err << log_;
  for (const auto& [agency, answers] : read_answers(site_.scratch() / "out" / id))
    for (const auto& [number, answer] : answers) {
      auto& [person, asked_agency] = who.at(std::stoul(number.substr(2)) - 1000);
      ASSERT_EQ(asked_agency, agency);
      auto& symbols = people_[person].symbols;
      const auto known = symbols.find(agency);
      ASSERT_EQ(answer.status, known == symbols.end() ? "new" : "existing") << log_;
      if (known != symbols.end()) {
        ASSERT_EQ(answer.symbol, known->second) << agency << "\n" << log_;
        continue;
      }
      ASSERT_TRUE(seen_.insert(answer.symbol).second) << "given out twice\n" << log_;
      symbols[agency] = answer.symbol;
      ++counts_.issued;
    }
  std::erase_if(people_, [](const Person& person) { return person.symbols.empty(); });
  changed_since_plan_ = true;
}

void RegenerationModel::change() {
  Person* person = somebody();
  if (person == nullptr) return;
  const std::string id = "C" + std::to_string(++next_request_);
  const std::size_t code = next_code_++;
  const auto path =
      request(id, kind_text(id, "change", {{resident_code(person->code), resident_code(code)}}));
  const auto done = command({"change", path, "--out", (site_.scratch() / "out").string()});
  ASSERT_EQ(done.exit_code, 0) << done.err << log_;
  for (auto& [agency, symbol] : person->symbols) {
    const auto lines = split_lines(read_file(site_.scratch() / "out" / id / (agency + ".csv")));
    ASSERT_EQ(lines.size(), 3U) << log_;
    ASSERT_EQ(lines[2].at(0), symbol) << log_;
    person->superseded.emplace_back(agency, symbol);
    symbol = lines[2].at(1);
    ASSERT_TRUE(seen_.insert(symbol).second) << log_;
  }
  person->code = code;
  for (OldSymbol& old : old_)
    if (old.person == person->id) old.superseded = true;
  ++counts_.changed;
  changed_since_plan_ = true;
}

void RegenerationModel::erase() {
  if (people_.empty()) return;
  const std::size_t at = chance(people_.size());
  const std::string id = "D" + std::to_string(++next_request_);
  const auto path =
      request(id, kind_text(id, "delete", {{resident_code(people_[at].code), "clerical_error"}}));
  const auto done =
      command({"delete", path, "--out", (site_.scratch() / "out").string(), "--confirm", "1"});
  ASSERT_EQ(done.exit_code, 0) << done.err << log_;
  for (const auto& [agency, symbol] : people_[at].symbols) forget(agency, symbol);
  for (const auto& [agency, symbol] : people_[at].superseded) forget(agency, symbol);
  people_.erase(people_.begin() + static_cast<std::ptrdiff_t>(at));
  ++counts_.deleted;
  changed_since_plan_ = true;
}

void RegenerationModel::plan() {
  // Most runs of one agency: they need no new keys, which take their time to make.
  const auto& agency = agencies_[chance(agencies_.size())];
  const std::vector<std::vector<std::string>> plans = {
      {"agency", "--agency", agency},
      {"agency", "--agency", agency},
      {"agency", "--agency", agency, "--method", "xts-aes256"},
      {"linkage"},
      {"linkage,agency"},
      {"record"},
      {"ledger"},
      {"rebase"},
      {"rebase,agency"},
      {"linkage,agency,record,ledger"}};
  const auto& words = plans[chance(plans.size())];
  what_ = words.front();
  digest_before_ = digest_of(site_);
  changed_since_plan_ = false;
  std::vector<std::string> all{"regenerate", "plan", "--reason", "model", "--what"};
  all.insert(all.end(), words.begin(), words.end());
  auto planned = command(all, true);
  if (planned.exit_code == 1) {  // killed after its last commit
    const auto runs = site_.run({"--json", "regenerate", "status"}).json()["runs"];
    ASSERT_FALSE(runs.empty()) << planned.err << log_;
    ASSERT_EQ(runs.back()["state"], "planned") << planned.err << log_;
    run_ = runs.back()["run"];
  } else {
    ASSERT_EQ(planned.exit_code, 0) << planned.err << log_;
    run_ = planned.json()["run"];
  }
  stage_ = Stage::kPlanned;
  ++counts_.runs;
}

void RegenerationModel::run() {
  std::vector<std::string> words{"regenerate", "run", run_, "--out",
                                 (site_.scratch() / "maps").string()};
  if (what_.starts_with("rebase")) {
    // Today's codes, but for a few; and one that is nobody's.
    std::vector<TrialRow> rows{{"PN0", agencies_.front(), resident_code(1'000'000)}};
    for (const Person& person : people_)
      if (chance(8) != 0)
        rows.push_back(
            {"PN" + std::to_string(rows.size()), agencies_.front(), resident_code(person.code)});
    words.insert(words.end(), {"--codes", request("ALL", request_text("ALL", rows))});
    ++counts_.rebased;
  }
  const auto done = command(words, true);
  ASSERT_EQ(done.exit_code, 0) << done.err << log_;
  stage_ = Stage::kReady;
}

void RegenerationModel::commit() {
  std::vector<std::string> words{"regenerate", "commit", run_};
  const bool accepted = chance(4) != 0;
  if (!accepted) words.emplace_back("--reject-old");
  const auto done = command(words, true);
  if (done.exit_code != 0) {  // killed after its transaction
    const auto now = step(site_, "status", run_);
    ASSERT_EQ(now.json()["state"], "committed") << done.err << log_;
  }
  stage_ = Stage::kCommitted;
  for (const auto& agency : agencies_) {
    if (!std::filesystem::exists(mapping_folder(site_, run_) / (agency + ".csv"))) continue;
    ASSERT_NO_FATAL_FAILURE(move(agency, read_mapping(site_, run_, agency), accepted));
  }
  check_links();
}

void RegenerationModel::move(const std::string& agency,
                             const std::map<std::string, std::string>& mapping, bool accepted) {
  std::size_t moved = 0;
  const auto take = [&](const Person& person, std::string& symbol, bool superseded) {
    const auto found = mapping.find(symbol);
    ASSERT_NE(found, mapping.end()) << agency << "\n" << log_;
    if (accepted)
      old_.push_back({agency, symbol, person.id, superseded});
    else
      forget(agency, symbol);
    symbol = found->second;
    ASSERT_TRUE(seen_.insert(symbol).second) << log_;
    ++moved;
  };
  for (Person& person : people_) {
    if (const auto held = person.symbols.find(agency); held != person.symbols.end())
      take(person, held->second, false);
    for (auto& [of, symbol] : person.superseded)
      if (of == agency) take(person, symbol, true);
  }
  ASSERT_EQ(moved, mapping.size()) << "there are others in it\n" << log_;
}

void RegenerationModel::ack_all() {
  for (const auto& agency : agencies_) {
    if (!std::filesystem::exists(mapping_folder(site_, run_) / (agency + ".csv"))) continue;
    const auto done = command({"regenerate", "ack", run_, "--agency", agency}, true);
    ASSERT_EQ(done.exit_code, 0) << done.err << log_;
    ASSERT_FALSE(std::filesystem::exists(mapping_folder(site_, run_) / (agency + ".csv"))) << log_;
  }
}

void RegenerationModel::finish() {
  std::vector<std::string> words{"regenerate", "finish", run_};
  if (chance(2) == 0)
    ack_all();
  else
    words.emplace_back("--without-acks");
  const auto done = command(words, true);
  if (done.exit_code != 0) {
    const auto now = step(site_, "status", run_);
    ASSERT_EQ(now.json()["state"], "finished") << done.err << log_;
  }
  stage_ = Stage::kNone;
  ++counts_.finished;
  for (const OldSymbol& old : old_) forget(old.agency, old.symbol);
  old_.clear();
  check_links();
}

// One agency takes another over, and a new one comes in its place.
void RegenerationModel::merge() {
  const std::size_t at = chance(agencies_.size());
  const std::string from = agencies_[at];
  agencies_.erase(agencies_.begin() + static_cast<std::ptrdiff_t>(at));
  const std::string into = agencies_[chance(agencies_.size())];
  const auto done = command({"agency", "merge", "--from", from, "--to", into, "--out",
                             (site_.scratch() / "out").string()},
                            true);
  ASSERT_EQ(done.exit_code, 0) << done.err << log_;
  const auto pairs = merged_symbols(site_, from, into);
  std::size_t moved = 0;
  for (Person& person : people_) {
    const auto gone = [&](const auto& held) { return held.first == from; };
    const auto held = person.symbols.find(from);
    if (held == person.symbols.end()) continue;
    const auto pair = pairs.find(held->second);
    ASSERT_NE(pair, pairs.end()) << log_;
    const auto [known, fresh] = person.symbols.emplace(into, pair->second);
    ASSERT_EQ(known->second, pair->second) << log_;
    if (fresh) {
      ASSERT_TRUE(seen_.insert(pair->second).second) << log_;
    }
    moved += 1 + static_cast<std::size_t>(
                     std::count_if(person.superseded.begin(), person.superseded.end(), gone));
    std::erase_if(person.superseded, gone);
    person.symbols.erase(from);
  }
  ASSERT_EQ(moved, pairs.size()) << log_;
  std::erase_if(gone_, [&](const auto& symbol) { return symbol.first == from; });
  const std::string code = "N" + std::to_string(++next_agency_);
  const auto added = site_.run({"agency", "add", code, "--name", "a new one"});
  ASSERT_EQ(added.exit_code, 0) << added.err << log_;
  agencies_.push_back(code);
  ++counts_.merged;
  changed_since_plan_ = true;
}

void RegenerationModel::abort() {
  const auto done = command({"regenerate", "abort", run_}, true);
  if (done.exit_code != 0) {
    const auto now = step(site_, "status", run_);
    ASSERT_EQ(now.json()["state"], "aborted") << done.err << log_;
  }
  if (!changed_since_plan_) {
    ASSERT_EQ(digest_of(site_), digest_before_) << log_;
  }
  ASSERT_FALSE(std::filesystem::exists(mapping_folder(site_, run_))) << log_;
  stage_ = Stage::kNone;
  ++counts_.aborts;
}

void RegenerationModel::check() {
  std::vector<TrialRow> rows;
  std::vector<std::string> expected;
  const std::string id = "Z" + std::to_string(++next_request_);
  for (const Person& person : people_)
    for (const auto& [agency, symbol] : person.symbols) {
      rows.push_back(
          {"PN" + std::to_string(100000 + expected.size()), agency, resident_code(person.code)});
      expected.push_back(symbol);
    }
  if (!rows.empty()) {
    const auto path = request(id, request_text(id, rows));
    const auto done = site_.run({"issue", path, "--out", (site_.scratch() / "out").string()});
    ASSERT_EQ(done.exit_code, 0) << done.err << log_;
    for (const auto& [agency, answers] : read_answers(site_.scratch() / "out" / id))
      for (const auto& [number, answer] : answers) {
        ASSERT_EQ(answer.symbol, expected.at(std::stoul(number.substr(2)) - 100000)) << log_;
        ASSERT_EQ(answer.status, "existing") << log_;
      }
  }
  ASSERT_NO_FATAL_FAILURE(check_links());
  const auto verified = site_.run({"verify"});
  ASSERT_EQ(verified.exit_code, 0) << verified.out << verified.err << log_;
}

}  // namespace fugo::test
