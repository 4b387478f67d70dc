#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.h"
#include "daemon/journal/journal_check.h"
#include "daemon/second_site/follow.h"
#include "daemon/second_site/received.h"
#include "daemon/site_access.h"
#include "daemon/standby_access.h"
#include "hsm/token.h"
#include "keystore/clock.h"
#include "keystore/standby.h"
#include "keystore/writer_lock.h"

namespace fugo::daemon {
namespace {

constexpr const char* kAct = "takeover";

tl::unexpected<Error> does_not_stand_by(const std::filesystem::path& ledger) {
  return fail(ErrorCode::kRefused, "this ledger does not stand by: it is the one that counts",
              ledger.string());
}

// check_all_applied: what lies unapplied, or cannot be seen, is not lost by mistake.
Status check_all_applied(const StandbyMark& mark) {
  const auto left = count_unapplied(mark);
  if (!left)
    return fail(ErrorCode::kRefused,
                "shipments may lie unapplied: their folder cannot be read: " + left.error().what,
                mark.folder, "bring it back, or take over without what lies there: --leave-behind");
  if (*left == 0) return {};
  return fail(ErrorCode::kRefused, fmt::format("{} shipments lie unapplied", *left), mark.folder,
              "fugo follow applies them; --leave-behind takes over without them");
}

// taken_over_already tells whether a run that died had committed its takeover: the journal goes on
// from the mark with that entry or, of a ledger that was handed over, is of a later epoch.
Result<bool> taken_over_already(const keystore::Ledger& ledger, const StandbyMark& mark) {
  if (!mark.following) {
    FUGO_ASSIGN(const auto epoch, epoch_of(ledger));
    return epoch > mark.epoch;
  }
  FUGO_ASSIGN(const auto last, ledger.journal(mark.journal_entries, 1));
  return !last.empty() && last.front().act == kAct &&
         hex(last.front().previous) == mark.journal_head;
}

// check_approved gives what the journal is to tell of the approvals. Those of a takeover that died
// after its entry are in that entry, and used. What a follow that died was about to apply is
// settled.
Result<nlohmann::ordered_json> check_approved(const Settings& settings, StandbyMark& mark,
                                              const ApprovalFiles& files) {
  auto checked = [&]() -> Result<nlohmann::ordered_json> {
    FUGO_ASSIGN(const auto role, any_role(settings));
    FUGO_ASSIGN(const auto site, open_ledger(settings, role, keystore::Access::kRead));
    FUGO_ASSIGN(const auto state, site.ledger->state());
    settle(mark, state);
    FUGO_ASSIGN(const bool already, taken_over_already(*site.ledger, mark));
    if (already) return nlohmann::ordered_json::object();
    FUGO_TRY(keystore::check_clock(state.journal_time));
    return check_approvals(settings, *site.ledger, takeover_act(mark), files);
  }();
  hsm::finalize_all();
  return checked;
}

// commit_takeover notes the new epoch, and thaws what was frozen by handing over.
Status commit_takeover(keystore::Ledger& ledger, const keystore::Actor& actor,
                       const TakenOver& taken, const std::string& reason,
                       const nlohmann::ordered_json& approval) {
  nlohmann::ordered_json details = {{"epoch", taken.epoch},
                                    {"was", taken.mark.following ? "following" : kHandedOver},
                                    {"shipment", taken.mark.number},
                                    {"journal_head", taken.mark.journal_head},
                                    {"reason", reason}};
  details.update(approval);
  FUGO_ASSIGN(const auto update, keystore::begin_standby(ledger));
  auto& state = update->state();
  if (taken.mark.following && !taken.mark.matches(state))
    return fail(ErrorCode::kDamaged, "this ledger is not as the last shipment left it",
                "standby.json", "make this site anew from a whole shipment");
  for (std::string* freeze : {&state.freeze_issue, &state.freeze_link})
    if (*freeze == kHandedOver) freeze->clear();
  FUGO_TRY(update->append_journal(actor, kAct, details.dump()));
  return update->commit();
}

}  // namespace

KeyAct takeover_act(const StandbyMark& mark) { return {kAct, {}, mark.site}; }

Result<std::uint64_t> epoch_of(const keystore::Ledger& ledger) {
  std::uint64_t epoch = 1;
  FUGO_TRY(for_each_entry(ledger, 0, [&](const auto& entry) -> Status {
    if (entry.act == kAct) ++epoch;
    return {};
  }));
  return epoch;
}

Result<TakenOver> take_over(const Settings& settings, const keystore::Actor& actor,
                            const TakeOverWishes& wishes, const SiteStage& stage,
                            std::string& applied) {
  const auto& ledger = settings.ledger_directory;
  if (!keystore::stands_by(ledger)) return does_not_stand_by(ledger);
  // First: what is looked at below is what is taken over, whatever follows by a timer.
  FUGO_ASSIGN(const auto lock, keystore::take_writer_lock(ledger));
  FUGO_ASSIGN(auto mark, read_mark(ledger));
  if (!mark) return does_not_stand_by(ledger);
  const bool unsettled = mark->next.has_value();
  TakenOver taken{0, std::move(*mark)};
  // Before the verification, which takes long.
  FUGO_ASSIGN(const auto approval, check_approved(settings, taken.mark, wishes.approval));
  if (taken.mark.following && !wishes.leave_behind) FUGO_TRY(check_all_applied(taken.mark));
  if (!wishes.unverified) FUGO_TRY(verify_received(settings, stage, &lock));
  FUGO_ASSIGN(const auto site, open_standby_ledger(settings, hsm::TokenRole::kIssuing));
  FUGO_ASSIGN(const bool already, taken_over_already(*site.ledger, taken.mark));
  FUGO_ASSIGN(taken.epoch, epoch_of(*site.ledger));
  if (!already) {
    ++taken.epoch;
    // Beyond its entry the ledger is no longer as what was about to be applied left it: the disk
    // has to say before that it was applied, or a takeover that dies cannot be ended.
    if (unsettled) FUGO_TRY(write_mark(ledger, taken.mark));
    FUGO_TRY(commit_takeover(*site.ledger, actor, taken, wishes.reason, approval));
    applied = "the journal notes the takeover; run it again to end it";
  }
  // What a follow that died has linked there would keep files that are deleted later.
  std::error_code error;
  std::filesystem::remove_all(ledger / kIncoming, error);
  if (error) return fail_errno("cannot remove", (ledger / kIncoming).string(), error.value());
  FUGO_TRY(remove_mark(ledger));
  applied = "this site has taken over";
  return taken;
}

}  // namespace fugo::daemon
