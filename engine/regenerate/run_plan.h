// Planning a regeneration: what it makes anew, under which keys, for whom.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "hsm/key_spec.h"
#include "hsm/token.h"
#include "keystore/ledger.h"

namespace fugo::engine {

// RunWish is what the operators ask for.
struct RunWish {
  std::uint8_t what = 0;  // keystore::kRun... bits
  std::string agency;     // code: only this agency's parameter; empty: all agencies
  std::string method;     // name; empty: methods stay as they are
  std::string reason;
  keystore::Actor actor;
  // approve is asked for the keys that are to be made, before anything is committed. It gives a
  // JSON object that the journal's entry has too; its error ends the plan. May be empty.
  std::function<Result<std::string>(const std::vector<hsm::KeyName>&)> approve;
};

// KeyNeeds are the key versions of a plan: those that a ceremony must make, and those that are
// there, pending, and will do.
struct KeyNeeds {
  std::vector<hsm::KeyName> to_make;
  std::vector<keystore::RunKey> all;
};

// RunPlan is a run that was checked against the ledger; begin_plan made it.
struct RunPlan {
  keystore::RunRow run;
  KeyNeeds keys;
  keystore::Actor actor;
};

// begin_plan checks the wish and commits the run as kPlanning, with the names of the keys that are
// to be made: whoever dies before complete_plan leaves a row that tells which keys may be lying in
// the tokens. kRefused while another run is unfinished, or for a wish that makes no sense, saying
// why; kUsage for a method or agency that there is not. `production` refuses test methods.
[[nodiscard]] Result<RunPlan> begin_plan(keystore::Ledger& ledger, const RunWish& wish,
                                         bool production);

// complete_plan commits what the plan puts into the registries, in one transaction: the made keys
// and the new generation, both pending, the agencies' new parameters (drawn from the token), and
// the run as kPlanned with the numbers that it will be reconciled with.
[[nodiscard]] Result<keystore::RunRow> complete_plan(
    keystore::Ledger& ledger, hsm::Token& token, RunPlan plan,
    const std::vector<keystore::KeyRow>& made, const std::vector<std::uint8_t>& wrapped_data_key);

// give_up_plan makes a run that died as kPlanning kAborted; its keys are to be removed first, by
// whoever holds the right to make and destroy keys all the while. kRefused when the run is not so.
[[nodiscard]] Status give_up_plan(keystore::Ledger& ledger, keystore::RunRow run,
                                  const keystore::Actor& actor);

// keys_of are the versions of a run's keys that were made for it, as names.
[[nodiscard]] std::vector<hsm::KeyName> keys_of(const keystore::RunRow& run);

// what_names writes the kRun... bits as the command line takes them: "linkage,agency".
[[nodiscard]] std::string what_names(std::uint8_t what);
// what_bit is the bit of one name; nothing for a name that is none.
[[nodiscard]] std::optional<std::uint8_t> what_bit(std::string_view name);

using keystore::is_mapped;

// find_generation: nullptr when there is none of this number.
[[nodiscard]] const keystore::GenerationRow* find_generation(
    const std::vector<keystore::GenerationRow>& rows, keystore::Generation number);

// find_run gives a run by its id; kRefused when there is none. An empty id: the unfinished one.
[[nodiscard]] Result<keystore::RunRow> find_run(const keystore::Ledger& ledger,
                                                std::string_view id);

}  // namespace fugo::engine
