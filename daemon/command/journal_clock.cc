// fugo journal accept-clock: the journal goes on although the clock was in the future before.
#include <fmt/format.h>

#include <memory>
#include <string>

#include "base/calendar.h"
#include "base/text.h"
#include "daemon/command/commands.h"
#include "daemon/site_access.h"
#include "keystore/clock.h"

namespace fugo::daemon {
namespace {

Result<Outcome> accept(Context& context, const std::string& reason) {
  context.applied = "nothing was applied";
  FUGO_ASSIGN(const auto actor, context.actor());
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_ledger(settings, role, keystore::Access::kAppend));
  FUGO_ASSIGN(const auto update, site.ledger->begin());
  const std::int64_t last = update->state().journal_time;
  const std::int64_t now = unix_now();
  if (now >= last)
    return fail(ErrorCode::kRefused, "the clock is not behind the journal's last entry", "clock",
                "nothing has to be accepted");
  update->state().journal_time = now;
  FUGO_ASSIGN(const auto calendar, Calendar::of(settings.time_zone));
  const auto today = static_cast<std::uint32_t>(calendar.day(now));
  // Of a day that has not come: today's quota is full.
  if (update->state().quota_day > today) forget_day(update->state(), today);
  FUGO_TRY(update->append_journal(
      actor, keystore::kClockAccepted,
      Json{{"reason", reason}, {"before", format_time(last)}, {"now", format_time(now)}}.dump()));
  FUGO_TRY(update->commit());
  return Outcome{{{"before", format_time(last)}, {"now", format_time(now)}},
                 fmt::format("the journal goes on at {}; its last entry was of {}\n",
                             format_time(now), format_time(last))};
}

}  // namespace

void add_accept_clock(CLI::App& group, Context& context) {
  auto reason = std::make_shared<std::string>();
  auto* command = group.add_subcommand(
      "accept-clock", "Go on although the clock is behind the journal, which it was in front of");
  command->add_option("--reason", *reason, "Why the time of now is right")->required();
  command->callback([&context, reason] {
    context.command = [reason](Context& c) { return accept(c, *reason); };
  });
}

}  // namespace fugo::daemon
