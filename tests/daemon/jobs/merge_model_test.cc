// Random sequences of issue, change, delete and merge, compared with a model of who holds whom.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "tests/daemon/jobs/merge_requests.h"

namespace fugo::test {
namespace {

// World is what must be so: a person is the resident number of the code that made them.
class World {
 public:
  explicit World(std::uint32_t seed) : random_(seed) {
    site_.set_config("[ledger]", "[issue]\nsegment_rows = 4\n\n[ledger]");
  }

  void issue() {
    const auto id = "J" + std::to_string(++jobs_);
    std::vector<TrialRow> rows;
    std::set<std::pair<std::string, std::size_t>> chosen;
    for (int i = 0; i < 8; ++i) {
      const std::size_t person = below(3) == 0 || alive_.empty() ? next_++ : any(alive_);
      alive_.insert(person);
      if (const auto agency = any(open_); chosen.insert({agency, person}).second)
        rows.push_back({"R" + std::to_string(person), agency, resident_code(person)});
    }
    const auto done = run_kind(site_, id, "issue", request_text(id, rows));
    ASSERT_EQ(done.exit_code, 0) << done.err;
    for (const auto& [agency, answers] : read_answers(site_.scratch() / "out" / id))
      for (const auto& [number, answer] : answers) {
        const auto person = static_cast<std::size_t>(std::stoul(number.substr(1)));
        ASSERT_EQ(answer.status == "existing", symbols_[agency].count(person) != 0);
        learn(agency, person, answer.symbol);
      }
  }

  void change() {
    if (alive_.empty()) return;
    const auto id = "J" + std::to_string(++jobs_);
    const std::size_t from = any(alive_), to = next_++;
    const auto done = run_kind(site_, id, "change",
                               kind_text(id, "change", {{resident_code(from), resident_code(to)}}));
    ASSERT_EQ(done.exit_code, 0) << done.err;
    alive_.erase(from);
    alive_.insert(to);
    successor_[from] = to;
    std::map<std::string, std::string> expected;
    for (const auto& agency : open_)
      if (symbols_[agency].count(from) != 0) expected[agency] = symbols_[agency][from];
    for (const auto& [name, text] : csv_files(site_.scratch() / "out" / id)) {
      const auto agency = name.substr(0, name.size() - 4);
      if (agency == "rejects") continue;
      const auto line = split_lines(text).at(2);
      ASSERT_EQ(expected.count(agency), 1U);
      ASSERT_EQ(line.at(0), expected[agency]);
      learn(agency, to, line.at(1));
      expected.erase(agency);
    }
    ASSERT_TRUE(expected.empty());
  }

  void remove() {
    if (alive_.size() < 3) return;
    const auto id = "J" + std::to_string(++jobs_);
    const std::size_t gone = any(alive_);
    const auto done = run_kind(site_, id, "delete",
                               kind_text(id, "delete", {{resident_code(gone), "clerical_error"}}),
                               {"--confirm", "1"});
    ASSERT_EQ(done.exit_code, 0) << done.err;
    alive_.erase(gone);
    for (auto& [agency, held] : symbols_)
      std::erase_if(held, [&](const auto& item) { return living(item.first) == gone; });
  }

  void merge() {
    if (open_.size() < 3) return;
    const std::string from = any(open_);
    std::string into = from;
    while (into == from) into = any(open_);
    const auto done = run_merge(site_, from, into);
    ASSERT_EQ(done.exit_code, 0) << done.err;
    const auto pairs = merged_symbols(site_, from, into);
    ASSERT_EQ(pairs.size(), symbols_[from].size());
    std::size_t made = 0;
    for (const auto& [person, symbol] : symbols_[from]) {
      ASSERT_EQ(pairs.count(symbol), 1U);
      made += symbols_[into].count(living(person)) == 0 ? 1U : 0U;
      learn(into, living(person), pairs.at(symbol));
    }
    ASSERT_EQ(done.json()["new"], made);
    open_.erase(from);
    ASSERT_EQ(agency_states(site_).at(from), "closed");
  }

  // Every symbol of every open agency is linked to every other one.
  void check() {
    for (const auto& from : open_)
      for (const auto& to : open_)
        if (from != to) check(from, to);
    const auto verified = site_.run({"verify"});
    ASSERT_EQ(verified.exit_code, 0) << verified.out << verified.err;
  }

  std::size_t below(std::size_t end) { return random_() % end; }

 private:
  void check(const std::string& from, const std::string& to) {
    std::string question;
    std::map<std::string, std::string> expected;
    for (const auto& [person, symbol] : symbols_[from]) {
      question += symbol + "\n";
      const auto there = symbols_[to].find(person);
      expected[symbol] = successor_.count(person) != 0 ? "superseded,"
                         : there != symbols_[to].end() ? "ok," + there->second
                                                       : "not_issued,";
    }
    if (question.empty()) return;
    write_file(site_.scratch() / "question", question);
    const auto answer = site_.scratch() / ("answer-" + std::to_string(++answers_));
    const auto done = site_.run({"link", (site_.scratch() / "question").string(), "--from", from,
                                 "--to", to, "--out", answer.string()});
    ASSERT_TRUE(done.exit_code == 0 || done.exit_code == 3) << done.err;
    const auto lines = split_lines(read_file(answer));
    ASSERT_EQ(lines.size(), expected.size() + 1);
    for (std::size_t i = 1; i < lines.size(); ++i)
      ASSERT_EQ(lines[i].at(1) + "," + lines[i].at(2), expected.at(lines[i].at(0)))
          << from << " " << to;
  }

  void learn(const std::string& agency, std::size_t person, const std::string& symbol) {
    const auto [at, fresh] = symbols_[agency].emplace(person, symbol);
    EXPECT_EQ(at->second, symbol) << "another symbol of the same person";
  }
  std::size_t living(std::size_t person) const {
    for (auto at = successor_.find(person); at != successor_.end(); at = successor_.find(person))
      person = at->second;
    return person;
  }
  template <typename T>
  T any(const std::set<T>& all) {
    return *std::next(all.begin(), static_cast<std::ptrdiff_t>(below(all.size())));
  }

  TestSite site_;
  std::mt19937 random_;
  std::set<std::string> open_ = {"131016", "472018", "011002", "131130", "141003"};
  std::set<std::size_t> alive_;
  std::map<std::size_t, std::size_t> successor_;
  std::map<std::string, std::map<std::size_t, std::string>> symbols_;  // superseded ones too
  std::size_t next_ = 0;
  unsigned jobs_ = 0, answers_ = 0;
};

class MergeModel : public ::testing::TestWithParam<std::uint32_t> {};

TEST_P(MergeModel, EverybodyIsKnownToWhoShouldKnowThem) {
  World world(GetParam());
  for (int step = 0; step < 24 && !::testing::Test::HasFatalFailure(); ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    const std::size_t what = world.below(10);
    if (step < 3 || what < 5)
      world.issue();
    else if (what < 7)
      world.change();
    else if (what < 8)
      world.remove();
    else
      world.merge();
  }
  if (!HasFatalFailure()) world.merge();
  if (!HasFatalFailure()) world.check();
}

INSTANTIATE_TEST_SUITE_P(Seeds, MergeModel, ::testing::Values(1U, 2U, 3U));

}  // namespace
}  // namespace fugo::test
