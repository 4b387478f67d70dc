// The steps that the states of keys, generations and regenerations may take, and no other.
#pragma once

#include <optional>

#include "base/result.h"
#include "keystore/types.h"

namespace fugo::keystore {

// check_key_step is put_key's rules: kRefused for what Update says of it. `first` is the making of
// the ledger, whose keys are active at once.
[[nodiscard]] Status check_key_step(const std::optional<KeyRow>& stored, const KeyRow& key,
                                    bool first);

// key_state_word is a state as messages and the journal have it: "active".
[[nodiscard]] const char* key_state_word(KeyState state);

// check_generation_step and check_run_step are those of put_generation and put_run.
[[nodiscard]] Status check_generation_step(const std::optional<GenerationRow>& stored,
                                           const GenerationRow& row);
[[nodiscard]] Status check_run_step(const std::optional<RunRow>& stored, const RunRow& row);

}  // namespace fugo::keystore
