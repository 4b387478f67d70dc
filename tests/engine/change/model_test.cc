// Random issues, changes, joins and deletions against a model in memory.
#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/engine/change/trial_ledger.h"

namespace fugo::engine::testing {
namespace {

using keystore::AgencyNumber;

constexpr AgencyNumber kAgencies = 4;
constexpr std::uint64_t kCodes = 60;

// Person is what the model knows of a code.
struct Person {
  std::uint64_t successor = 0;         // 0: active
  std::map<AgencyNumber, Block> held;  // agency -> its symbol
};

class Model {
 public:
  Model(std::uint64_t seed, std::uint8_t method) : trial_(method, kAgencies), random_(seed) {}

  void step() {
    switch (random_() % 10) {
      case 0:
      case 1:
      case 2:
      case 3:
        return issue();
      case 4:
      case 5:
      case 6:
        return change(random_() % 2 == 0);
      case 7:
        return erase();
      case 8:
        return link();
      default:
        if (random_() % 4 == 0) trial_.reopen();
    }
  }

  // renew gives everybody new symbols; the old ones are resolved until retire().
  void renew(std::uint8_t what) {
    for (const auto& [code, person] : people_)
      if (person.held.contains(1)) old_symbols_[code] = person.held.at(1);
    trial_.regenerate(what);
    for (auto& [code, person] : people_)
      for (auto& [agency, known] : person.held) known = trial_.symbols(agency, {code})[0];
    link_old(false);
  }
  void retire() {
    link_old(false);
    trial_.retire();
    history_.clear();
    link_old(true);
    old_symbols_.clear();
  }

  void expect_same_content() {
    EXPECT_EQ(trial_.verify(), "");
    const auto state = must(trial_.site().ledger().state());
    std::uint64_t held = 0;
    for (const auto& [code, person] : people_) held += person.held.size();
    EXPECT_EQ(state.issuances, held);
    EXPECT_EQ(state.next_person - state.deleted_people, people_.size());
    link();
  }

  // The same people and issuances by the shortest way, in another order.
  std::string digest_by_another_way() {
    TrialLedger other(1, kAgencies);
    std::vector<std::uint64_t> left;
    for (const auto& [code, person] : people_) left.push_back(code);
    std::shuffle(left.begin(), left.end(), random_);
    std::set<std::uint64_t> made;
    while (!left.empty()) {  // whoever has no predecessor that is still to come
      const auto next = std::find_if(left.begin(), left.end(), [&](std::uint64_t code) {
        return std::none_of(left.begin(), left.end(), [&](std::uint64_t before) {
          return people_.at(before).successor == code;
        });
      });
      const Person& person = people_.at(*next);
      Codes codes;
      std::vector<AgencyNumber> agencies;
      for (const auto& [agency, symbol] : person.held) {
        codes.push_back(*next);
        agencies.push_back(agency);
      }
      other.issue(codes, agencies);
      if (person.successor != 0) other.change({*next}, {person.successor}, true);
      left.erase(next);
    }
    return other.digest();
  }
  [[nodiscard]] std::string digest() { return trial_.digest(); }

 private:
  std::uint64_t any_code() { return 1 + random_() % kCodes; }

  void issue() {
    Codes codes;
    std::vector<AgencyNumber> agencies;
    std::vector<RowResult> expected;
    auto after = people_;
    for (std::size_t i = 0; i < 1 + random_() % 12; ++i) {
      codes.push_back(any_code());
      agencies.push_back(static_cast<AgencyNumber>(1 + random_() % kAgencies));
      Person& person = after[codes.back()];
      if (person.successor != 0)
        expected.push_back(RowResult::kSuperseded);
      else
        expected.push_back(person.held.try_emplace(agencies.back()).second ? RowResult::kNew
                                                                           : RowResult::kExisting);
    }
    EXPECT_EQ(trial_.issue(codes, agencies), expected);
    people_ = std::move(after);
    remember(codes);
  }

  // Keeps the symbols that agencies got; a symbol that is known must be the same.
  void remember(const Codes& codes) {
    for (const std::uint64_t code : codes)
      for (auto& [agency, known] : people_.at(code).held) {
        if (people_.at(code).successor != 0) continue;
        const Block symbol = trial_.symbols(agency, {code})[0];
        EXPECT_TRUE(known == Block{} || known == symbol);
        known = symbol;
      }
  }

  void change(bool join) {
    Codes olds, news;
    std::set<std::uint64_t> used;
    for (std::size_t i = 0; i < 1 + random_() % 5; ++i) {
      const std::uint64_t a = any_code(), b = any_code();
      if (used.contains(a) || used.contains(b)) continue;
      used.insert({a, b});
      olds.push_back(a);
      news.push_back(b);
    }
    std::vector<ChangeResult> expected;
    std::vector<std::pair<AgencyNumber, Block>> befores;
    Codes moved;
    for (std::size_t i = 0; i < olds.size(); ++i)
      expected.push_back(move(olds[i], news[i], join, befores, moved));
    const Changed changed = trial_.change(olds, news, join);
    EXPECT_EQ(changed.results, expected);
    remember(moved);
    std::vector<std::pair<AgencyNumber, Block>> told;
    for (const Pair& pair : changed.agencies) told.emplace_back(pair.agency, pair.before);
    std::sort(befores.begin(), befores.end());
    EXPECT_EQ(told, befores);
    for (const Pair& pair : changed.agencies)
      EXPECT_TRUE(std::any_of(moved.begin(), moved.end(), [&](std::uint64_t code) {
        const auto& held = people_.at(code).held;
        const auto found = held.find(pair.agency);
        return found != held.end() && found->second == pair.after;
      }));
    EXPECT_EQ(must(trial_.answer(olds, news, changed.segment)), changed);
    history_.push_back({olds, news, changed});
    for (const auto& [old_codes, new_codes, outcome] : history_)
      EXPECT_EQ(must(trial_.answer(old_codes, new_codes, outcome.segment)), outcome);
  }

  ChangeResult move(std::uint64_t a, std::uint64_t b, bool join,
                    std::vector<std::pair<AgencyNumber, Block>>& befores, Codes& moved) {
    const auto from = people_.find(a);
    if (from == people_.end()) return ChangeResult::kUnknownResident;
    if (from->second.successor != 0) return ChangeResult::kSuperseded;
    const auto to = people_.find(b);
    const bool there = to != people_.end();
    if (there && (!join || a == b || to->second.successor != 0))
      return ChangeResult::kResidentExists;
    from->second.successor = b;
    Person& person = people_[b];
    for (const auto& [agency, symbol] : people_.at(a).held) {
      befores.emplace_back(agency, symbol);
      person.held.try_emplace(agency);
    }
    moved.push_back(b);
    return there ? ChangeResult::kJoined : ChangeResult::kChanged;
  }

  void erase() {
    Codes codes;
    std::vector<EraseResult> expected;
    std::set<std::uint64_t> gone;
    for (std::size_t i = 0; i < 1 + random_() % 2; ++i) {
      codes.push_back(any_code());
      const auto person = people_.find(codes.back());
      if (person == people_.end() || gone.contains(codes.back()))
        expected.push_back(EraseResult::kUnknownResident);
      else if (person->second.successor != 0)
        expected.push_back(EraseResult::kSuperseded);
      else
        expected.push_back(EraseResult::kErased), gone.insert(codes.back());
    }
    for (std::size_t before = 0; before != gone.size();) {  // up the chains
      before = gone.size();
      for (const auto& [code, person] : people_)
        if (gone.contains(person.successor)) gone.insert(code);
    }
    std::vector<std::pair<AgencyNumber, Block>> told;
    for (const std::uint64_t code : gone)
      for (const auto& [agency, symbol] : people_.at(code).held) told.emplace_back(agency, symbol);
    std::sort(told.begin(), told.end());
    const Erased erased = trial_.erase(codes);
    EXPECT_EQ(erased.results, expected);
    EXPECT_EQ(erased.agencies, told);
    EXPECT_EQ(erased.people, gone.size());
    for (const std::uint64_t code : gone) people_.erase(code), old_symbols_.erase(code);
    if (!gone.empty()) history_.clear();
  }

  // Every symbol that agency 1 ever got of those who are there, to agency 3.
  void link() {
    std::vector<Block> symbols;
    std::vector<LinkStatus> expected;
    for (const auto& [code, person] : people_) {
      const auto held = person.held.find(1);
      if (held == person.held.end()) continue;
      symbols.push_back(held->second);
      expected.push_back(person.successor != 0     ? LinkStatus::kSuperseded
                         : person.held.contains(3) ? LinkStatus::kOk
                                                   : LinkStatus::kNotIssued);
    }
    std::vector<LinkStatus> found;
    for (const LinkItem& item : trial_.link(1, 3, symbols)) found.push_back(item.status);
    EXPECT_EQ(found, expected);
  }

  // The same with the symbols of the version before.
  void link_old(bool retired) {
    std::vector<Block> symbols;
    std::vector<LinkStatus> expected;
    for (const auto& [code, symbol] : old_symbols_) {
      const Person& person = people_.at(code);
      symbols.push_back(symbol);
      expected.push_back(retired                   ? LinkStatus::kUnknown
                         : person.successor != 0   ? LinkStatus::kSuperseded
                         : person.held.contains(3) ? LinkStatus::kOk
                                                   : LinkStatus::kNotIssued);
    }
    std::vector<LinkStatus> found;
    for (const LinkItem& item : trial_.link(1, 3, symbols)) found.push_back(item.status);
    EXPECT_EQ(found, expected);
  }

  struct Past {
    Codes olds, news;
    Changed outcome;
  };

  TrialLedger trial_;
  std::mt19937_64 random_;
  std::map<std::uint64_t, Person> people_;
  std::vector<Past> history_;                   // changes since the last deletion
  std::map<std::uint64_t, Block> old_symbols_;  // of agency 1, by code
};

class ModelTest : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(ModelTest, ALedgerIsWhatWasDoneToIt) {
  Model model(GetParam(), static_cast<std::uint8_t>(MethodNumber::kCmacFfAes256));
  for (int step = 0; step < 60 && !HasFailure(); ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    model.step();
  }
  model.expect_same_content();
  EXPECT_EQ(model.digest(), model.digest_by_another_way());
}

TEST_P(ModelTest, WithSymbolsThatCollideToo) {
  Model model(100 + GetParam(), static_cast<std::uint8_t>(MethodNumber::kTest16));
  for (int step = 0; step < 40 && !HasFailure(); ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    model.step();
  }
  model.expect_same_content();
}

TEST_P(ModelTest, AcrossThreeGenerations) {
  Model model(200 + GetParam(), static_cast<std::uint8_t>(MethodNumber::kTest16));
  for (int round = 0; round < 3 && !HasFailure(); ++round) {
    if (round == 1) model.renew(keystore::kRunLinkage | keystore::kRunAgency);
    if (round == 2) model.renew(keystore::kRunLinkage);
    for (int step = 0; step < 15 && !HasFailure(); ++step) {
      SCOPED_TRACE("round " + std::to_string(round) + ", step " + std::to_string(step));
      model.step();
    }
    if (round > 0) model.retire();
  }
  model.expect_same_content();
}

INSTANTIATE_TEST_SUITE_P(Seeds, ModelTest, ::testing::Range(std::uint64_t{1}, std::uint64_t{4}));

}  // namespace
}  // namespace fugo::engine::testing
