// What linking must answer about everybody that the model knows, or knew.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/daemon/regenerate/regeneration_model.h"

namespace fugo::test {

void RegenerationModel::forget(const std::string& agency, const std::string& symbol) {
  constexpr std::size_t kMost = 400;
  if (gone_.size() < kMost)
    gone_.emplace_back(agency, symbol);
  else
    gone_[chance(kMost)] = {agency, symbol};
}

RegenerationModel::Person* RegenerationModel::find_person(std::uint64_t id) {
  const auto found = std::find_if(people_.begin(), people_.end(),
                                  [&](const Person& person) { return person.id == id; });
  return found == people_.end() ? nullptr : &*found;
}

std::string RegenerationModel::answer_for(const Person& person, const std::string& to) const {
  const auto held = person.symbols.find(to);
  return held == person.symbols.end() ? "not_issued," : "ok," + held->second;
}

std::vector<RegenerationModel::Question> RegenerationModel::questions(const std::string& from,
                                                                      const std::string& to) {
  std::vector<Question> asked;
  for (const Person& person : people_) {
    if (const auto held = person.symbols.find(from); held != person.symbols.end())
      asked.push_back({held->second, answer_for(person, to)});
    for (const auto& [agency, symbol] : person.superseded)
      if (agency == from) asked.push_back({symbol, "superseded,"});
  }
  for (const OldSymbol& old : old_) {
    if (old.agency != from) continue;
    const Person* person = find_person(old.person);
    asked.push_back({old.symbol, person == nullptr ? "unknown,"
                                 : old.superseded  ? "superseded,"
                                                   : answer_for(*person, to)});
  }
  for (const auto& [agency, symbol] : gone_)
    if (agency == from) asked.push_back({symbol, "unknown,"});
  return asked;
}

void RegenerationModel::ask(const std::string& from, const std::string& to,
                            const std::vector<Question>& asked) {
  std::string text;
  for (const auto& question : asked) text += question.symbol + "\n";
  const auto path = site_.scratch() / "question";
  const auto answer = site_.scratch() / ("linked-" + std::to_string(++next_request_));
  write_file(path, text);
  const auto done =
      site_.run({"link", path.string(), "--from", from, "--to", to, "--out", answer.string()});
  ASSERT_TRUE(done.exit_code == 0 || done.exit_code == 3) << done.err << log_;
  const auto lines = split_lines(read_file(answer));
  ASSERT_EQ(lines.size(), asked.size() + 1) << log_;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    ASSERT_EQ(lines[i + 1].at(1) + "," + lines[i + 1].at(2), asked[i].answer)
        << from << " to " << to << "\n"
        << log_;
    ++counts_.linked;
  }
}

void RegenerationModel::check_links() {
  for (std::size_t i = 0; i < agencies_.size(); ++i) {
    const auto& from = agencies_[i];
    const auto& to = agencies_[(i + 1 + chance(agencies_.size() - 1)) % agencies_.size()];
    const auto asked = questions(from, to);
    if (asked.empty()) continue;
    ASSERT_NO_FATAL_FAILURE(ask(from, to, asked));
  }
}

}  // namespace fugo::test
