#include "tests/daemon/regenerate/beside.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "base/text.h"

namespace fugo::test {

using engine::LinkStatus;

void PrintTo(const Linked& linked, std::ostream* out) {
  *out << link_status_name(linked.status) << " of version " << linked.version << " "
       << linked.symbol;
}

Linked link_text(engine::Linking& linking, const std::string& symbol, const std::string& from,
                 const std::string& to) {
  const std::array agencies{number(linking, from), number(linking, to)};
  const Block asked = *decode_symbol(symbol);
  Block answered{};
  Linked linked;
  linking.link({&agencies[0], 1}, {&agencies[1], 1}, {&asked, 1}, {&answered, 1}, {},
               {&linked.version, 1}, {&linked.status, 1});
  if (linked.status == LinkStatus::kOk) linked.symbol = encode_symbol(answered);
  return linked;
}

void Work::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void Work::more(std::uint64_t rounds) const {
  const std::uint64_t wanted = rounds_ + rounds;
  EXPECT_TRUE(wait_for([&] { return rounds_ >= wanted; }));
}

void Work::run() {
  constexpr std::size_t kFirst = 10'000, kOther = 50'000;
  for (std::size_t round = 0; !stopping_; ++round) {
    const std::size_t first = kFirst + 3 * round;
    issue(first, 3);
    change(first, kOther + round);
    erase(first + 1);
    ++rounds_;
  }
}

std::filesystem::path Work::answers(const std::string& id, const std::string& text) {
  drop(site_.site(), id + ".csv", text);
  return site_.wait(id);
}

void Work::issue(std::size_t first, std::size_t count) {
  const std::string id = "W" + std::to_string(++requests_);
  std::vector<TrialRow> rows;
  for (std::size_t resident = first; resident < first + count; ++resident)
    for (const auto& agency : kHolders)
      rows.push_back({std::to_string(resident), agency, resident_code(resident)});
  for (const auto& [agency, given] : read_answers(answers(id, request_text(id, rows))))
    for (const auto& [resident, answer] : given)
      symbols_[agency][std::stoul(resident)] = answer.symbol;
}

void Work::change(std::size_t from, std::size_t to) {
  const std::string id = "W" + std::to_string(++requests_);
  const auto folder =
      answers(id, kind_text(id, "change", {{resident_code(from), resident_code(to)}}));
  changed_.insert(from);
  for (const auto& agency : kHolders) {
    const auto lines = split_lines(read_file(folder / (agency + ".csv")));
    EXPECT_EQ(lines.size(), 3U) << id;
    if (lines.size() != 3) continue;
    symbols_[agency][from] = lines[2].at(0);  // of today's version
    symbols_[agency][to] = lines[2].at(1);
  }
}

void Work::erase(std::size_t resident) {
  const std::string id = "W" + std::to_string(++requests_);
  (void)answers(id, kind_text(id, "delete", {{resident_code(resident), "clerical_error"}}));
  deleted_.insert(resident);
}

Asker::Asker(const LinkedSite& site, Symbols old) : old_(std::move(old)), linking_(site.open()) {
  for (const std::uint64_t seed : {1, 2}) threads_.emplace_back([this, seed] { run(seed); });
}

void Asker::enter_both(Symbols now) {
  now_ = std::move(now);
  phase_ = Phase::kBoth;
  const std::lock_guard lock(mutex_);
  for (const auto& [agency, symbol] : early_) {
    bool known = false;
    for (const auto& [resident, other] : now_.at(agency)) known = known || other == symbol;
    EXPECT_TRUE(known) << "a symbol of " << agency << " that is neither old nor new";
  }
}

void Asker::stop() {
  stopping_ = true;
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

void Asker::more(std::uint64_t answers) const {
  const std::uint64_t wanted = answers_ + answers;
  EXPECT_TRUE(wait_for([&] { return answers_ >= wanted; }));
}

// What may be answered for an old symbol: of every phase from the one in which it was asked to the
// one in which the answer came.
std::set<Linked> Asker::allowed(Phase from, Phase to, const std::string& agency,
                                std::size_t resident) const {
  std::set<Linked> answers;
  for (auto phase = from; phase <= to; phase = static_cast<Phase>(static_cast<int>(phase) + 1)) {
    if (phase <= Phase::kCommitting)
      answers.insert({LinkStatus::kOk, 1, old_.at(agency).at(resident)});
    if (phase == Phase::kBoth || phase == Phase::kFinishing)
      answers.insert({LinkStatus::kOk, 1, now_.at(agency).at(resident)});
    if (phase >= Phase::kFinishing) answers.insert({LinkStatus::kUnknown, 0, {}});
  }
  return answers;
}

void Asker::run(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  while (!stopping_) {
    const auto& from = kHolders[random() % kHolders.size()];
    const auto& to = kHolders[random() % kHolders.size()];
    if (from == to) continue;
    auto at = old_.at(from).begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random() % old_.at(from).size()));
    const auto [resident, symbol] = *at;
    const Phase asked = phase_;
    if (asked >= Phase::kBoth && random() % 2 == 0) {
      const Linked answer = link_text(*linking_, now_.at(from).at(resident), from, to);
      EXPECT_EQ(answer, (Linked{LinkStatus::kOk, 2, now_.at(to).at(resident)}))
          << "a new symbol, " << from << " to " << to;
    } else {
      const Linked answer = link_text(*linking_, symbol, from, to);
      const Phase answered = phase_;
      const bool early =
          answered == Phase::kCommitting && answer.status == LinkStatus::kOk && answer.version == 1;
      if (early && answer.symbol != old_.at(to).at(resident)) {
        const std::lock_guard lock(mutex_);
        early_.emplace(to, answer.symbol);
      } else {
        const auto right = allowed(asked, answered, to, resident);
        EXPECT_TRUE(right.contains(answer))
            << ::testing::PrintToString(answer) << ", in phases " << static_cast<int>(asked)
            << " to " << static_cast<int>(answered) << ", " << from << " to " << to;
      }
    }
    ++answers_;
  }
}

}  // namespace fugo::test
