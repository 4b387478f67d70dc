#include "keystore/steps.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "keystore/tables.h"

namespace fugo::keystore {
namespace {

template <typename State>
struct Step {
  State from, to;
};

constexpr std::array kKeySteps = std::to_array<Step<KeyState>>({
    {KeyState::kMaking, KeyState::kPending},
    {KeyState::kMaking, KeyState::kDestroyed},  // its ceremony died, and its remains were removed
    {KeyState::kPending, KeyState::kActive},
    {KeyState::kPending, KeyState::kRetired},
    {KeyState::kActive, KeyState::kAccepting},
    {KeyState::kActive, KeyState::kRetired},
    {KeyState::kActive, KeyState::kChain},
    {KeyState::kAccepting, KeyState::kRetired},
    {KeyState::kAccepting, KeyState::kChain},
    {KeyState::kChain, KeyState::kRetired},
    {KeyState::kRetired, KeyState::kDestroyed},
});

constexpr std::array kGenerationSteps = std::to_array<Step<GenerationState>>({
    {GenerationState::kPending, GenerationState::kActive},
    {GenerationState::kPending, GenerationState::kRetired},
    {GenerationState::kActive, GenerationState::kAccepting},
    {GenerationState::kActive, GenerationState::kRetired},
    {GenerationState::kAccepting, GenerationState::kRetired},
});

constexpr std::array kRunSteps = std::to_array<Step<RunState>>({
    {RunState::kPlanning, RunState::kPlanned},
    {RunState::kPlanning, RunState::kAborted},
    {RunState::kPlanned, RunState::kRunning},
    {RunState::kPlanned, RunState::kAborted},
    {RunState::kRunning, RunState::kReady},
    {RunState::kRunning, RunState::kAborted},
    {RunState::kReady, RunState::kCommitted},
    {RunState::kReady, RunState::kAborted},
    {RunState::kCommitted, RunState::kFinished},
});

template <typename Steps, typename State>
bool may_step(const Steps& steps, State from, State to) {
  return from == to || std::any_of(steps.begin(), steps.end(), [&](const auto& step) {
           return step.from == from && step.to == to;
         });
}

template <typename State, std::size_t kCount>
const char* word(const std::array<const char*, kCount>& words, State state) {
  const auto at = static_cast<std::size_t>(state);
  return words[at < kCount ? at : 0];
}

constexpr std::array<const char*, 8> kKeyWords = {"unknown", "pending",   "active", "accepting",
                                                  "retired", "destroyed", "chain",  "being made"};
constexpr std::array<const char*, 5> kGenerationWords = {"unknown", "pending", "active",
                                                         "accepting", "retired"};
constexpr std::array<const char*, 8> kRunWords = {"unknown", "planning",  "planned",  "running",
                                                  "ready",   "committed", "finished", "aborted"};

tl::unexpected<Error> refused(const std::string& what, Table table, std::string hint = {}) {
  return fail(ErrorCode::kRefused, what, std::string("ledger, table ") + table_name(table),
              std::move(hint));
}

// is_same_key: what a row says of its key never changes, once the key was made.
bool is_same_key(const KeyRow& stored, const KeyRow& row) {
  if (stored.label != row.label) return false;
  return stored.state == KeyState::kMaking ||
         (stored.fingerprint == row.fingerprint && stored.created == row.created &&
          stored.public_key == row.public_key);
}

}  // namespace

const char* key_state_word(KeyState state) { return word(kKeyWords, state); }

Status check_key_step(const std::optional<KeyRow>& stored, const KeyRow& key, bool first) {
  const std::string name = "the key " + key.label;
  if (!stored) {
    if (first || key.state == KeyState::kMaking || key.state == KeyState::kPending) return {};
    return refused(name + " is not in the registry and cannot be " + word(kKeyWords, key.state),
                   Table::kKeys, "a new key is pending first");
  }
  if (!is_same_key(*stored, key))
    return refused(name + " is in the registry already, as another one", Table::kKeys,
                   "a version is never used again: make the next one");
  if (may_step(kKeySteps, stored->state, key.state)) return {};
  return refused(name + " is " + word(kKeyWords, stored->state) + " and cannot become " +
                     word(kKeyWords, key.state),
                 Table::kKeys);
}

Status check_generation_step(const std::optional<GenerationRow>& stored, const GenerationRow& row) {
  if (!stored || may_step(kGenerationSteps, stored->state, row.state)) return {};
  return refused("symbol version " + std::to_string(row.number) + " is " +
                     word(kGenerationWords, stored->state) + " and cannot become " +
                     word(kGenerationWords, row.state),
                 Table::kGenerations);
}

Status check_run_step(const std::optional<RunRow>& stored, const RunRow& row) {
  if (!stored) {
    if (row.number == 0) return {};
    return fail(ErrorCode::kInternal, "a run that is not there", "put_run");
  }
  if (may_step(kRunSteps, stored->state, row.state)) return {};
  return refused("the regeneration " + stored->id + " is " + word(kRunWords, stored->state) +
                     " and cannot become " + word(kRunWords, row.state),
                 Table::kRuns, "another process went on with it: see fugo regenerate status");
}

}  // namespace fugo::keystore
