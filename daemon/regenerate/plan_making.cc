#include "daemon/regenerate/plan_making.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "daemon/approvals.h"
#include "daemon/key_making.h"
#include "daemon/key_newness.h"
#include "daemon/site_access.h"
#include "engine/regenerate/run_steps.h"

namespace fugo::daemon {
namespace {

using keystore::RunRow;

// The keys of a plan that the registry does not know: a ceremony may have left them in tokens.
Result<std::vector<hsm::KeyName>> unregistered_keys(const keystore::Ledger& ledger,
                                                    const RunRow& run) {
  FUGO_ASSIGN(const auto rows, ledger.key_rows());
  auto names = engine::keys_of(run);
  std::erase_if(names, [&](const hsm::KeyName& name) {
    return std::any_of(rows.begin(), rows.end(), [&](const auto& row) {
      return expected_key(row).name == name && row.state != keystore::KeyState::kMaking;
    });
  });
  return names;
}

// A run whose plan was broken off, and what it may have left in the tokens.
struct BrokenPlan {
  RunRow run;
  std::vector<hsm::KeyName> left;
};

// find_broken: nothing when no run is unfinished (of this id, unless it is empty) or its plan was
// made to its end.
Result<std::optional<BrokenPlan>> find_broken(const Settings& settings, std::string_view id) {
  FUGO_ASSIGN(const auto opened,
              open_ledger(settings, hsm::TokenRole::kIssuing, keystore::Access::kRead));
  FUGO_ASSIGN(const auto state, opened.ledger->state());
  if (id.empty() && state.open_run == 0) return std::optional<BrokenPlan>();
  BrokenPlan broken;
  FUGO_ASSIGN(broken.run, engine::find_run(*opened.ledger, id));
  if (broken.run.state != keystore::RunState::kPlanning) return std::optional<BrokenPlan>();
  // What another ceremony of the same names made is not removed.
  FUGO_ASSIGN(const bool ours, begun_here(*opened.ledger, broken.run));
  if (ours) {
    FUGO_ASSIGN(broken.left, unregistered_keys(*opened.ledger, broken.run));
  }
  return std::optional(std::move(broken));
}

// What a plan that died has left in the tokens is removed, then its row ended. Whoever holds the
// administration knows that the plan is nobody's any more: a plan is made under it.
Result<std::optional<RunRow>> take_back_broken_plan(const Settings& settings,
                                                    KeyAdministration& administration,
                                                    std::string_view id,
                                                    const keystore::Actor& actor) {
  FUGO_ASSIGN(const auto broken, find_broken(settings, id));
  if (!broken) return std::optional<RunRow>();
  FUGO_TRY(administration.take_back(broken->left, broken->run.id));
  FUGO_ASSIGN(const auto opened,
              open_ledger(settings, hsm::TokenRole::kIssuing, keystore::Access::kAppend));
  FUGO_TRY(engine::give_up_plan(*opened.ledger, broken->run, actor));
  FUGO_ASSIGN(auto ended, engine::find_run(*opened.ledger, broken->run.id));
  return std::optional(std::move(ended));
}

// The keys that are to be made are approved before anything of the plan is committed.
Result<engine::RunPlan> begin(const Settings& settings, const KeyAdministration& administration,
                              engine::RunWish wish, const PlanApproval& approval) {
  FUGO_ASSIGN(const auto opened,
              open_ledger(settings, hsm::TokenRole::kIssuing, keystore::Access::kAppend));
  wish.approve = [&](const std::vector<hsm::KeyName>& names) -> Result<std::string> {
    if (!names.empty()) FUGO_TRY(administration.check_can_make());
    KeyAct act{"keys.create", {}};
    for (const auto& name : names) act.keys.push_back(created_key(hsm::key_label(name)));
    FUGO_ASSIGN(const auto details, check_approvals(settings, *opened.ledger, act,
                                                    {approval.request, approval.signatures}));
    return details.dump();
  };
  return engine::begin_plan(*opened.ledger, wish, settings.production());
}

}  // namespace

Result<RunRow> make_plan(const Settings& settings, const engine::RunWish& wish,
                         const PlanApproval& approval, std::string& applied) {
  FUGO_ASSIGN(auto administration, KeyAdministration::open(settings));
  FUGO_TRY(take_back_broken_plan(settings, administration, {}, wish.actor).map([](auto&&) {}));
  FUGO_TRY(administration.try_tokens());  // before an approval is used
  FUGO_TRY(check_next_are_new(settings, administration));
  FUGO_ASSIGN(auto plan, begin(settings, administration, wish, approval));
  applied = approval.request.empty()
                ? "the plan was begun: planning again takes it back first"
                : "the plan was begun, and its approval is used up: planning again takes it back "
                  "first, and needs an approval of the next versions";
  MadeKeys made;
  if (!plan.keys.to_make.empty()) {
    FUGO_ASSIGN(made, administration.make(plan.keys.to_make, plan.run.id));
  }
  FUGO_ASSIGN(const auto opened,
              open_ledger(settings, hsm::TokenRole::kIssuing, keystore::Access::kAppend));
  return engine::complete_plan(*opened.ledger, *opened.token, std::move(plan), made.rows,
                               made.wrapped_data_key);
}

Result<std::optional<RunRow>> abort_broken_plan(const Settings& settings, const std::string& id,
                                                const keystore::Actor& actor) {
  {
    FUGO_ASSIGN(const auto broken, find_broken(settings, id));
    if (!broken) return std::optional<RunRow>();
  }
  FUGO_ASSIGN(auto administration, KeyAdministration::open(settings));
  return take_back_broken_plan(settings, administration, id, actor);
}

std::uint64_t ledger_bytes(const std::filesystem::path& ledger) {
  std::uint64_t bytes = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(ledger, error)) {
    const auto size = entry.is_regular_file(error) ? entry.file_size(error) : 0;
    if (!error) bytes += size;
  }
  return bytes;
}

RunEstimate estimate_of(const RunRow& run, std::uint64_t ledger_bytes) {
  constexpr double kPeopleASecond = 2e6, kSymbolsASecond = 3e6;
  constexpr double kBytesASecond = 8e7;  // of the ledger, read and written anew with all checks
  constexpr std::uint64_t kPersonBytes = 66, kPairBytes = 56;
  const std::uint64_t pairs = run.planned_symbols + run.planned_records;
  const std::uint64_t people = run.planned_people;
  RunEstimate estimate;
  estimate.bytes = people * kPersonBytes + pairs * kPairBytes;
  estimate.seconds =
      static_cast<double>(people) / kPeopleASecond + static_cast<double>(pairs) / kSymbolsASecond;
  if (!engine::needs_rekey(run)) return estimate;
  // At the finish everything that stays is there twice.
  const std::uint64_t twice = ledger_bytes + people * kPersonBytes;
  estimate.bytes += twice;
  estimate.seconds += static_cast<double>(twice) / kBytesASecond;
  return estimate;
}

}  // namespace fugo::daemon
