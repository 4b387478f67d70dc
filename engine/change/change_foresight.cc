#include "engine/change/change_foresight.h"

#include <utility>

namespace fugo::engine {

Result<ChangeForesight> ChangeForesight::create(Site& site, std::size_t max_rows,
                                                std::size_t all_rows) {
  FUGO_ASSIGN(auto codes, CodeLook::create(site, max_rows));
  ChangeForesight foresight(std::move(codes));
  std::size_t slots = 16;
  while (slots < 4 * all_rows) slots *= 2;  // two codes a row, and at least half of it is free
  FUGO_ASSIGN(foresight.slots_, SecretArray<std::uint64_t>::create(slots));
  return foresight;
}

Result<std::vector<ChangeResult>> ChangeForesight::look(const ChangeRows& rows, bool join) {
  for (const auto codes : {rows.old_codes, rows.new_codes}) {
    FUGO_ASSIGN(const auto states, codes_.look(codes));
    learn(codes, states);
  }
  std::vector<ChangeResult> results;
  for (std::size_t row = 0; row < rows.old_codes.size(); ++row)
    results.push_back(carry_out(rows.old_codes[row], rows.new_codes[row], join));
  return results;
}

std::uint64_t& ChangeForesight::slot_of(std::uint64_t code) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = ((code * 0x9E3779B97F4A7C15ULL) >> 20U) & mask;
  while (slots_[at] != 0 && slots_[at] / 4 != code) at = (at + 1) & mask;
  return slots_[at];
}

// What earlier rows made of a code counts more than what the ledger says.
void ChangeForesight::learn(std::span<const std::uint64_t> codes,
                            std::span<const CodeState> states) {
  for (std::size_t i = 0; i < codes.size(); ++i)
    if (slot_of(codes[i]) == 0) set_state(codes[i], states[i]);
}

CodeState ChangeForesight::state_of(std::uint64_t code) {
  return static_cast<CodeState>(slot_of(code) % 4 - 1);
}

void ChangeForesight::set_state(std::uint64_t code, CodeState state) {
  slot_of(code) = code * 4 + static_cast<std::uint64_t>(state) + 1;
}

// As ChangePeople::judge decides.
ChangeResult ChangeForesight::carry_out(std::uint64_t old_code, std::uint64_t new_code, bool join) {
  const CodeState before = state_of(old_code);
  if (before == CodeState::kNobody) return ChangeResult::kUnknownResident;
  if (before == CodeState::kSuperseded) return ChangeResult::kSuperseded;
  const CodeState after = state_of(new_code);
  const bool joins = join && old_code != new_code && after == CodeState::kActive;
  if (after != CodeState::kNobody && !joins) return ChangeResult::kResidentExists;
  set_state(old_code, CodeState::kSuperseded);
  set_state(new_code, CodeState::kActive);
  return joins ? ChangeResult::kJoined : ChangeResult::kChanged;
}

}  // namespace fugo::engine
