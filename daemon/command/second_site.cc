// fugo ship, follow, takeover: a second site that follows the first, and takes its place.
#include <fmt/format.h>

#include <memory>
#include <string>

#include "base/text.h"
#include "daemon/command/second_site_text.h"
#include "daemon/command/site_commands.h"
#include "daemon/progress.h"
#include "daemon/second_site/follow.h"

namespace fugo::daemon {
namespace {

// Stages shows what is being done.
class Stages {
 public:
  Stages()
      : progress_("", true),
        stage_([this](const char* name, std::uint64_t done, std::uint64_t all) {
          progress_.stage(name);
          progress_.update(done, all);
        }) {}
  Stages(const Stages&) = delete;
  Stages& operator=(const Stages&) = delete;
  [[nodiscard]] const SiteStage& stage() const { return stage_; }

 private:
  Progress progress_;
  const SiteStage stage_;
};

struct ShipArguments {
  std::string folder;
  ShipWishes wishes;
};

Result<Outcome> send(Context& context, const ShipArguments& given) {
  context.applied = "nothing was sent";
  FUGO_ASSIGN(const auto actor, context.actor());
  FUGO_ASSIGN(const auto folder, absolute_path("DIR", given.folder));
  FUGO_ASSIGN(const auto settings, context.settings());
  const Stages stages;
  FUGO_ASSIGN(const auto shipped,
              ship(settings, folder, actor, given.wishes, stages.stage(), context.applied));
  const auto& last = shipped.last;
  Outcome outcome;
  outcome.document = shipped_document(last);
  outcome.document["sent"] = !shipped.nothing_new;
  if (shipped.nothing_new) {
    outcome.text = fmt::format("Nothing was done since shipment {} of {}\n", last.number,
                               format_time(last.taken));
    return outcome;
  }
  outcome.document["digest"] = shipped.digest;
  outcome.document["new_files"] = shipped.new_files;
  outcome.document["bytes"] = shipped.bytes;
  outcome.text = fmt::format(
      "Shipment {} is in {}: {} new files, {} bytes\n\n  journal    {} entries, head {}\n"
      "  digest     {}\n",
      last.number, last.directory, shipped.new_files, grouped(shipped.bytes),
      grouped(last.journal_entries), last.journal_head, shipped.digest);
  if (last.final)
    outcome.text +=
        "\nIt was the last: this ledger stands by now, and is not written any more. The second "
        "site\nfollows once more, and takes over; fugo takeover here would take it back.\n";
  return outcome;
}

struct FollowArguments {
  std::string folder, directory;
  bool all_tokens = false;
  FollowWishes wishes;
};

Result<Outcome> follow_on(Context& context, const FollowArguments& given) {
  context.applied = "nothing was applied";
  FUGO_ASSIGN(const auto folder, absolute_path("DIR", given.folder));
  FUGO_ASSIGN(auto settings, context.settings());
  const Stages stages;
  Outcome outcome;
  std::uint64_t applied = 0;
  if (!given.directory.empty()) {
    FUGO_ASSIGN(const auto target, absolute_path("--dir", given.directory));
    FUGO_ASSIGN(const auto begun,
                start_following(settings, folder, target, given.all_tokens, stages.stage()));
    applied = begun.applied;
    context.applied =
        fmt::format("{} follows as of shipment {}", target.string(), begun.mark.number);
    FUGO_ASSIGN(settings, load_settings(target / "fugo.toml"));
    outcome.text = fmt::format("A second site was made in {}\n", target.string());
    outcome.document["configuration"] = settings.file.string();
  }
  FUGO_ASSIGN(const auto followed,
              follow(settings, folder, given.wishes, stages.stage(), context.applied));
  applied += followed.applied;
  outcome.document["applied"] = applied;
  outcome.document["standby"] = standby_document(followed.mark);
  outcome.text +=
      fmt::format("{} shipments were applied\n\n{}", applied, standby_text(followed.mark));
  return outcome;
}

Result<Outcome> take(Context& context, const TakeOverWishes& given) {
  context.applied = "nothing was applied";
  FUGO_ASSIGN(const auto actor, context.actor());
  FUGO_ASSIGN(const auto settings, context.settings());
  const Stages stages;
  FUGO_ASSIGN(const auto taken, take_over(settings, actor, given, stages.stage(), context.applied));
  Outcome outcome;
  outcome.document = {{"epoch", taken.epoch},
                      {"was", taken.mark.following ? "following" : "handed over"},
                      {"shipment", taken.mark.number},
                      {"taken", format_time(taken.mark.taken)},
                      {"verified", !given.unverified}};
  outcome.text =
      fmt::format("This site is the one that counts now: epoch {}, as of shipment {} of {}\n",
                  taken.epoch, taken.mark.number, format_time(taken.mark.taken));
  if (taken.mark.following && !taken.mark.final)
    outcome.text +=
        "\nThe first site has not handed over. See to it that it is never used again, and find out "
        "what\nit did after that shipment: docs/second-site.md.\n";
  return outcome;
}

}  // namespace

void add_second_site(CLI::App& app, Context& context) {
  auto sent = std::make_shared<ShipArguments>();
  auto* command = app.add_subcommand("ship", "Send what the ledger became to a second site");
  command->add_option("DIR", sent->folder, "Folder that a transport carries from")->required();
  command->add_flag("--whole", sent->wishes.whole, "With every file: a second site can begin here");
  command->add_flag("--always", sent->wishes.always, "Also when nothing was done since the last");
  command->add_flag("--final", sent->wishes.final,
                    "The last one: hand the ledger over, and do not write it any more");
  command->callback(
      [&context, sent] { context.command = [sent](Context& c) { return send(c, *sent); }; });

  auto given = std::make_shared<FollowArguments>();
  command = app.add_subcommand("follow", "Apply what a first site has sent");
  command->add_option("DIR", given->folder, "Folder with the shipments")->required();
  command->add_option("--dir", given->directory,
                      "Make a second site in this directory, absent or empty");
  command->add_flag(
      "--all-tokens", given->all_tokens,
      "The new site has every token of this configuration, not the standby one alone");
  command->add_flag("--verify", given->wishes.verify,
                    "Do what fugo verify does before each is applied");
  command->callback([&context, given] {
    context.command = [given](Context& c) { return follow_on(c, *given); };
  });

  auto wanted = std::make_shared<TakeOverWishes>();
  command = app.add_subcommand("takeover", "Make this second site the one that counts");
  command->add_option("--reason", wanted->reason, "Why, for the journal")->required();
  command->add_flag("--leave-behind", wanted->leave_behind,
                    "Without shipments that lie unapplied: what they bring is lost here");
  command->add_flag("--unverified", wanted->unverified, "Do not verify the site before");
  command->callback(
      [&context, wanted] { context.command = [wanted](Context& c) { return take(c, *wanted); }; });
}

}  // namespace fugo::daemon
