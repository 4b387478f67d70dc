#include "tests/hsm/fault_module/script.h"

#include <algorithm>
#include <array>
#include <sstream>

namespace fugo::hsm::testing {
namespace {

struct EffectWord {
  const char* word;
  EffectKind kind;
  std::uint64_t number;  // unless the script gives one
};
constexpr std::array kEffects = {
    EffectWord{"rv", EffectKind::kRv, 0},
    EffectWord{"lost", EffectKind::kLost, 0},
    EffectWord{"hang", EffectKind::kHang, 0},
    EffectWord{"delay", EffectKind::kDelay, 0},
    EffectWord{"short", EffectKind::kShort, 1},
    EffectWord{"stale", EffectKind::kStale, 16},
    EffectWord{"wrong", EffectKind::kWrong, 0},
    EffectWord{"zeros", EffectKind::kZeros, 0},
    EffectWord{"repeat", EffectKind::kRepeat, 0},
    EffectWord{"none", EffectKind::kNone, 0},
    EffectWord{"two", EffectKind::kTwo, 0},
    EffectWord{"foreign", EffectKind::kForeign, 0},
    EffectWord{"renumber", EffectKind::kRenumber, 0},
};

bool read_effect(std::istringstream& line, const std::string& word, Effect& effect) {
  const auto* const found = std::find_if(kEffects.begin(), kEffects.end(),
                                         [&](const EffectWord& row) { return row.word == word; });
  if (found == kEffects.end()) return false;
  effect.kind = found->kind;
  effect.number = found->number;
  effect.text = word;
  std::string argument;
  if (!(line >> argument))
    return effect.kind != EffectKind::kRv && effect.kind != EffectKind::kLost;
  effect.text += " " + argument;
  if (effect.kind == EffectKind::kRv || effect.kind == EffectKind::kLost) {
    const auto rv = rv_by_name(argument);
    effect.rv = rv.value_or(CKR_OK);
    return rv.has_value();
  }
  if (effect.kind == EffectKind::kWrong) {
    static constexpr std::array kPlaces = {"first", "middle", "last"};
    const auto* const place = std::find(kPlaces.begin(), kPlaces.end(), argument);
    effect.place = static_cast<WrongPlace>(place - kPlaces.begin());
    return place != kPlaces.end();
  }
  return static_cast<bool>(std::istringstream(argument) >> effect.number);
}

bool read_rule(const std::string& text, Rule& rule) {
  std::istringstream line(text);
  line >> rule.function;
  std::string word;
  while (line >> word) {
    bool good = true;
    if (word == "after")
      good = static_cast<bool>(line >> rule.after);
    else if (word == "times")
      good = static_cast<bool>(line >> rule.times);
    else if (word == "chance")
      good = static_cast<bool>(line >> rule.chance);
    else
      return read_effect(line, word, rule.effect) && !(line >> word);
    if (!good) return false;
  }
  return false;
}

}  // namespace

std::optional<CK_RV> rv_by_name(const std::string& name) {
  for (CK_RV rv = 0; rv < 0x400; ++rv)
    if (rv_name(rv) == name) return rv;
  if (name == "CKR_VENDOR_DEFINED") return CKR_VENDOR_DEFINED;
  return std::nullopt;
}

Script Script::parse(const std::string& text) {
  Script script;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto begin = line.find_first_not_of(" \t");
    if (begin == std::string::npos || line[begin] == '#') continue;
    Rule rule;
    if (line.substr(begin, 4) == "gone" && line.find_first_not_of(" \t", begin + 4) == line.npos)
      script.gone_ = true;
    else if (read_rule(line, rule))
      script.rules_.push_back(std::move(rule));
    else
      script.error_ = line;
  }
  return script;
}

std::optional<Effect> Script::next(const std::string& function) {
  std::optional<Effect> due;
  for (Rule& rule : rules_) {
    if (rule.function != "*" && rule.function != function) continue;
    const std::uint64_t seen = rule.seen++;
    if (due || seen < rule.after || seen - rule.after >= rule.times) continue;
    if (rule.chance < 100 && random_() % 100 >= rule.chance) continue;
    due = rule.effect;
  }
  return due;
}

}  // namespace fugo::hsm::testing
