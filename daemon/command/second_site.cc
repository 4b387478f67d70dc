// fugo ship, follow, takeover: a second site that follows the first, and takes its place.
#include <fmt/format.h>

#include <cerrno>
#include <memory>
#include <string>

#include "base/file.h"
#include "base/text.h"
#include "daemon/approvals.h"
#include "daemon/command/second_site_text.h"
#include "daemon/command/site_commands.h"
#include "daemon/link_usage.h"
#include "daemon/progress.h"
#include "daemon/second_site/follow.h"
#include "daemon/service/usage_collector.h"
#include "daemon/site_access.h"
#include "daemon/time_text.h"

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

// collect_uses journals every use of linking that lies in files: nobody can after a handing over.
Status collect_uses(const Settings& settings, const keystore::Actor& actor,
                    keystore::Ledger& ledger) {
  UsageCollector uses(settings.link_usage, actor);
  for (std::size_t before = 0;;) {
    FUGO_TRY(uses.collect(ledger));
    std::error_code error;
    std::size_t left = 0;
    for (auto at = std::filesystem::directory_iterator(settings.link_usage, error);
         !error && at != std::filesystem::directory_iterator(); at.increment(error))
      if (is_use_name(at->path().filename().string())) ++left;
    if (error && error.value() != ENOENT)
      return fail_errno("cannot list the folder", settings.link_usage.string(), error.value());
    if (left == 0) return {};
    if (left == before)
      return fail(ErrorCode::kRefused, fmt::format("{} counts of uses of linking are left", left),
                  settings.link_usage.string(), "stop what links, and run it again");
    before = left;
  }
}

Result<Outcome> send(Context& context, const ShipArguments& given) {
  context.applied = "nothing was sent";
  FUGO_ASSIGN(const auto actor, context.actor());
  FUGO_ASSIGN(const auto folder, absolute_path("DIR", given.folder));
  FUGO_ASSIGN(const auto settings, context.settings());
  const Stages stages;
  auto wishes = given.wishes;
  wishes.before_last = [&](keystore::Ledger& ledger) {
    return collect_uses(settings, actor, ledger);
  };
  FUGO_ASSIGN(const auto shipped,
              ship(settings, folder, actor, wishes, stages.stage(), context.applied));
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

struct TakeOverArguments {
  std::string write_request, expires;
  TakeOverWishes wishes;
};

// ask_for_takeover writes what custodians sign; nothing is changed.
Result<Outcome> ask_for_takeover(Context& context, const TakeOverArguments& given) {
  constexpr std::int64_t kDefaultExpiry = 7L * 24 * 3600;
  FUGO_ASSIGN(const auto path, absolute_path("--write-request", given.write_request));
  auto expires = unix_now() + kDefaultExpiry;
  if (!given.expires.empty()) {
    FUGO_ASSIGN(expires, parse_time(given.expires));
  }
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto mark, read_mark(settings.ledger_directory));
  if (!mark)
    return fail(ErrorCode::kRefused, "this ledger does not stand by: it is the one that counts",
                settings.ledger_directory.string());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_ledger(settings, role, keystore::Access::kRead));
  FUGO_ASSIGN(const auto text, approval_request(*site.ledger, takeover_act(*mark), expires));
  FUGO_TRY(write_durably(path, as_bytes(text), 0644));
  return Outcome{
      {{"request", path.string()}, {"site", mark->site}, {"expires", format_time(expires)}},
      fmt::format("{}\nTwo custodians sign {} as it is: docs/operation.md, \"Keys\"\n", text,
                  path.string())};
}

Result<Outcome> take(Context& context, const TakeOverArguments& arguments) {
  if (!arguments.write_request.empty()) return ask_for_takeover(context, arguments);
  const auto& given = arguments.wishes;
  if (given.reason.empty())
    return fail(ErrorCode::kUsage, "is needed: why, for the journal", "--reason");
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

  auto asked = std::make_shared<TakeOverArguments>();
  auto* const wanted = &asked->wishes;
  command = app.add_subcommand("takeover", "Make this second site the one that counts");
  command->add_option("--reason", wanted->reason, "Why, for the journal");
  command->add_flag("--leave-behind", wanted->leave_behind,
                    "Without shipments that lie unapplied: what they bring is lost here");
  command->add_flag("--unverified", wanted->unverified, "Do not verify the site before");
  command->add_option("--request", wanted->approval.request,
                      "What custodians have approved: the file of --write-request");
  command
      ->add_option("--approval", wanted->approval.approvals,
                   "CUSTODIAN=FILE with that custodian's signature; two are needed")
      ->allow_extra_args(false);
  command->add_option("--write-request", asked->write_request,
                      "Only write what custodians are to sign into this file");
  command->add_option("--expires", asked->expires,
                      "Of the request: RFC 3339 time (default: in seven days)");
  command->callback(
      [&context, asked] { context.command = [asked](Context& c) { return take(c, *asked); }; });
}

}  // namespace fugo::daemon
