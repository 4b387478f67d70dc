// Sixteen threads link as fast as they can while a daemon issues, changes and deletes what is put
// into its inbox, and linking is frozen and thawed: every answer is one that the ledger's content
// allowed at some moment of the call.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <numeric>
#include <random>
#include <set>
#include <thread>

#include "tests/daemon/link/storm_model.h"

namespace fugo::test {

using engine::IndexPolicy;
using engine::Linking;
using engine::LinkingSettings;
using engine::LinkStatus;
using engine::PersonHandle;
using keystore::AgencyNumber;

namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned kThreads = 16;

// How long each storm goes on.
std::chrono::seconds storm_time() {
  const char* seconds = std::getenv("FUGO_STORM_SECONDS");  // NOLINT(concurrency-mt-unsafe)
  return std::chrono::seconds(seconds != nullptr ? std::atoi(seconds) : 4);
}

// Tally is what the threads found, together.
class Tally {
 public:
  void wrong(const std::string& what) {
    const std::lock_guard lock(mutex_);
    ++wrong_;
    if (first_.empty()) first_ = what;
  }
  void count(const std::array<std::uint64_t, engine::kLinkStatuses>& by_status, std::uint64_t calls,
             const std::map<std::size_t, Block>& records) {
    const std::lock_guard lock(mutex_);
    const auto wrong_record = [this](const char* what) {
      ++wrong_;
      if (first_.empty()) first_ = what;
    };
    for (std::size_t i = 0; i < by_status.size(); ++i) by_status_[i] += by_status[i];
    calls_ += calls;
    for (const auto& [resident, record] : records) {
      const auto [there, fresh] = records_.emplace(resident, record);
      if (there->second != record) wrong_record("one person has two record symbols");
      if (fresh && !all_records_.insert(record).second)
        wrong_record("two people have one record symbol");
    }
  }
  [[nodiscard]] const std::string& first() const { return first_; }
  [[nodiscard]] std::uint64_t wrong() const { return wrong_; }
  [[nodiscard]] std::uint64_t calls() const { return calls_; }
  [[nodiscard]] std::uint64_t items() const {
    return std::accumulate(by_status_.begin(), by_status_.end(), std::uint64_t{0});
  }
  [[nodiscard]] std::uint64_t of(LinkStatus status) const {
    return by_status_[static_cast<std::size_t>(status)];
  }

 private:
  std::mutex mutex_;
  std::string first_;
  std::uint64_t wrong_ = 0, calls_ = 0;
  std::array<std::uint64_t, engine::kLinkStatuses> by_status_{};
  std::map<std::size_t, Block> records_;
  std::set<Block> all_records_;
};

// Writer changes the ledger by the daemon's inbox, and tells the model.
class Writer {
 public:
  // Done is how much it did.
  struct Done {
    std::uint64_t issued = 0, changed = 0, deleted = 0, frozen = 0;
    [[nodiscard]] bool of_everything() const {
      return issued != 0 && changed != 0 && deleted != 0 && frozen != 0;
    }
  };

  Writer(LinkedSite& site, StormModel& model, std::size_t most)
      : site_(site), model_(model), most_(most) {}

  void issue_new() {
    const std::size_t first = people_, count = 1 + random_() % (random_() % 4 == 0 ? 600 : 30);
    std::vector<LinkedSite::Issuance> wanted;
    for (std::size_t i = first; i < first + count; ++i) {
      const std::size_t certain = random_() % kLinkAgencies.size();
      for (std::size_t agency = 0; agency < kLinkAgencies.size(); ++agency)
        if (agency == certain || random_() % 10 < 6) wanted.emplace_back(kLinkAgencies[agency], i);
    }
    site_.issue(wanted);
    done_.issued += wanted.size();
    people_ += count;
    take_symbols(first);
  }

  void issue_more() {
    std::vector<LinkedSite::Issuance> wanted;
    std::vector<std::pair<std::size_t, std::size_t>> which;
    for (std::size_t tries = 0; tries < 40; ++tries) {
      const std::size_t who = anybody(), agency = random_() % kLinkAgencies.size();
      if (!model_.alive(who) || site_.has(kLinkAgencies[agency], who)) continue;
      wanted.emplace_back(kLinkAgencies[agency], who);
      if (std::count(wanted.begin(), wanted.end(), wanted.back()) > 1) {
        wanted.pop_back();
        continue;
      }
      which.emplace_back(who, agency);
      model_.begin_issue(who, agency);
    }
    if (wanted.empty()) return;
    site_.issue(wanted);
    done_.issued += wanted.size();
    for (const auto& [who, agency] : which)
      model_.end_issue(who, agency, site_.symbol(kLinkAgencies[agency], who));
  }

  void change() {
    const std::size_t who = anybody();
    if (!model_.alive(who)) return;
    model_.begin_leaving(who, /*by_change=*/true);
    site_.change(who, people_);
    before_[people_] = who;
    ++done_.changed;
    model_.end_leaving(who);
    take_symbols(people_++);
  }

  void remove() {
    const std::size_t who = anybody();
    if (!model_.alive(who)) return;
    model_.begin_leaving(who, /*by_change=*/false);
    // Whoever was changed into this person goes too.
    const auto earlier = [&](std::uint8_t step) {
      for (auto at = before_.find(who); at != before_.end(); at = before_.find(at->second))
        model_.set_erased(at->second, step);
    };
    earlier(1);
    site_.remove(who);
    earlier(2);
    ++done_.deleted;
    model_.end_leaving(who);
  }

  void freeze_and_thaw() {
    for (const bool freeze : {true, false}) {
      model_.next_freeze();
      site_.run(freeze ? std::vector<std::string>{"freeze", "link", "--reason", "storm"}
                       : std::vector<std::string>{"thaw"});
      model_.next_freeze();
    }
    ++done_.frozen;
  }

  void step() {
    constexpr std::array<std::uint64_t, 5> kFirst = {0, 6, 9, 14, 19};  // everything once
    const auto dice = steps_ < kFirst.size() ? kFirst[steps_] : random_() % 20;
    ++steps_;
    if (people_ < most_ && dice < 6) return issue_new();
    if (dice < 9) return issue_more();
    if (dice < 14) return change();
    if (dice < 19) return remove();
    freeze_and_thaw();
  }
  [[nodiscard]] const Done& done() const { return done_; }

 private:
  [[nodiscard]] std::size_t anybody() { return random_() % people_; }
  // From `first` on everybody is new, and is told of when all of them are there.
  void take_symbols(std::size_t first) {
    const std::size_t end = std::max(people_, first + 1);
    for (std::size_t who = first; who < end; ++who)
      for (std::size_t agency = 0; agency < kLinkAgencies.size(); ++agency)
        if (site_.has(kLinkAgencies[agency], who))
          model_.end_issue(who, agency, site_.symbol(kLinkAgencies[agency], who));
    model_.publish(end);
  }

  LinkedSite& site_;
  StormModel& model_;
  const std::size_t most_;
  std::mt19937_64 random_{7};
  std::size_t people_ = 0, steps_ = 0;
  std::map<std::size_t, std::size_t> before_;  // who somebody was before a change
  Done done_;
};

// Reader is one thread that links.
class Reader {
 public:
  Reader(Linking& linking, const StormModel& model, Tally& tally, unsigned seed)
      : linking_(linking), model_(model), tally_(tally), random_(seed) {
    for (const auto& code : kLinkAgencies) numbers_.push_back(number(linking, code));
  }

  void run(const std::atomic<bool>& stop) {
    while (!stop) {
      const auto dice = random_() % 100;
      const std::size_t count = dice < 60   ? 1
                                : dice < 90 ? 2 + random_() % 63
                                            : 65 + random_() % 3000;
      choose(count);
      if (dice % 4 == 3)
        by_handles();
      else
        by_symbols();
      ++calls_;
    }
    tally_.count(by_status_, calls_, records_);
  }

 private:
  static constexpr std::size_t kNobody = ~std::size_t{0};

  void choose(std::size_t count) {
    who_.clear(), from_.clear(), to_.clear(), symbols_.clear(), before_.clear();
    const std::size_t people = model_.published();
    for (std::size_t i = 0; i < count; ++i) {
      // Half of them are of the newest.
      const std::size_t newest = std::min<std::size_t>(people, 200);
      std::size_t who = random_() % 2 == 0 ? random_() % people : people - 1 - random_() % newest;
      std::size_t from = random_() % numbers_.size();
      while (!model_.issued(who, from)) from = (from + 1) % numbers_.size();
      const std::size_t to = random_() % numbers_.size();
      Block symbol = model_.symbol(who, from);
      before_.push_back(model_.now(who, to));
      if (random_() % 50 == 0) {
        symbol.bytes[random_() % 16] ^= static_cast<std::uint8_t>(1 + random_() % 255);
        who = kNobody;
      }
      who_.push_back(who);
      from_.push_back(numbers_[from]);
      to_index_.resize(i + 1);
      to_index_[i] = to;
      to_.push_back(numbers_[to]);
      symbols_.push_back(symbol);
    }
    statuses_.assign(count, LinkStatus::kUnknown);
    linked_.assign(count, Block{});
    record_.assign(count, Block{});
    people_.assign(count, PersonHandle{});
  }

  void by_symbols() {
    linking_.link(from_, to_, symbols_, linked_, record_, statuses_);
    for (std::size_t i = 0; i < who_.size(); ++i) check(i, true);
  }

  void by_handles() {
    linking_.resolve(from_, symbols_, people_, statuses_);
    std::vector<LinkStatus> resolved(statuses_);
    linking_.symbol_for(people_, to_, linked_, statuses_);
    for (std::size_t i = 0; i < who_.size(); ++i) {
      if (resolved[i] == LinkStatus::kOk) {
        check(i, false);
        continue;
      }
      statuses_[i] = resolved[i];  // where nobody was found
      check(i, false);
    }
  }

  void check(std::size_t i, bool with_record) {
    ++by_status_[static_cast<std::size_t>(statuses_[i])];
    const std::size_t who = who_[i];
    const auto wrong = who == kNobody
                           ? StormModel::wrong_of_nobody(before_[i], model_.now(0, 0), statuses_[i])
                           : model_.wrong(who, to_index_[i], before_[i], statuses_[i], linked_[i]);
    if (!wrong.empty()) tally_.wrong(wrong + " " + linking_.health().last_error);
    const bool ok = statuses_[i] == LinkStatus::kOk;
    if (ok != (linked_[i] != Block{})) tally_.wrong("a symbol beside a status that has none");
    if (!with_record || !ok || who == kNobody) return;
    if (records_.emplace(who, record_[i]).first->second != record_[i])
      tally_.wrong("one person has two record symbols");
  }

  Linking& linking_;
  const StormModel& model_;
  Tally& tally_;
  std::mt19937_64 random_;
  std::vector<AgencyNumber> numbers_;
  std::vector<std::size_t> who_, to_index_;
  std::vector<AgencyNumber> from_, to_;
  std::vector<Block> symbols_, linked_, record_;
  std::vector<LinkStatus> statuses_;
  std::vector<PersonHandle> people_;
  std::vector<StormModel::Moment> before_;
  std::array<std::uint64_t, engine::kLinkStatuses> by_status_{};
  std::uint64_t calls_ = 0;
  std::map<std::size_t, Block> records_;
};

void report(const Writer::Done& done, const Tally& tally, const engine::LinkingHealth& health) {
  std::printf(
      "%lu answers to %lu calls of %u threads, %lu wrong: ok %lu, not issued %lu, unknown %lu, "
      "superseded %lu, frozen %lu\n"
      "meanwhile the daemon issued %lu symbols, changed %lu people and deleted %lu; %lu freezes; "
      "%lu tables given up; %lu calls combined into %lu\n",
      tally.items(), tally.calls(), kThreads, tally.wrong(), tally.of(LinkStatus::kOk),
      tally.of(LinkStatus::kNotIssued), tally.of(LinkStatus::kUnknown),
      tally.of(LinkStatus::kSuperseded), tally.of(LinkStatus::kFrozen), done.issued, done.changed,
      done.deleted, done.frozen, health.index_evictions, health.combined_calls,
      health.combined_runs);
}

void storm(const LinkingSettings& settings, std::size_t most) {
  LinkedSite site;
  site.site().set_config("[ledger]", "[issue]\nsegment_rows = 300\n\n[ledger]");
  site.start_daemon();
  StormModel model;
  Writer writer(site, model, most);
  writer.issue_new();
  const auto linking = site.open(settings);
  ASSERT_TRUE(linking);
  Tally tally;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kThreads; ++i)
    threads.emplace_back([&, i] {
      // Sixteen threads that never rest would leave the daemon a few percent of a small machine.
      ::setpriority(PRIO_PROCESS, 0, 10);  // of this thread
      Reader(*linking, model, tally, i).run(stop);
    });
  const auto end = Clock::now() + storm_time();
  // However slow the machine: something of everything is done.
  while ((Clock::now() < end || !writer.done().of_everything()) && !testing::Test::HasFailure())
    writer.step();
  stop = true;
  for (auto& thread : threads) thread.join();
  report(writer.done(), tally, linking->health());
  EXPECT_EQ(tally.wrong(), 0U) << tally.first();
  EXPECT_EQ(linking->health().last_error, "");
  for (const LinkStatus status : {LinkStatus::kOk, LinkStatus::kNotIssued, LinkStatus::kUnknown})
    EXPECT_GT(tally.of(status), 0U) << engine::link_status_name(status);
  EXPECT_EQ(site.stop_daemon(), 0);
  EXPECT_EQ(site.site().run({"verify"}).exit_code, 0);
}

TEST(Storm, TablesAheadAndCombinedCalls) {
  LinkingSettings settings;
  settings.index = IndexPolicy::kAhead;
  settings.patience = std::chrono::minutes(5);  // the machine may be as slow as it likes
  storm(settings, StormModel::kMost - 1000);
}

// Room for one table or two of the three that are wanted.
TEST(Storm, LazyTablesThatDoNotFitTogether) {
  LinkingSettings settings;
  settings.index_bytes = 20'000;
  settings.combine = false;
  settings.patience = std::chrono::minutes(5);
  storm(settings, 900);
}

}  // namespace
}  // namespace fugo::test
