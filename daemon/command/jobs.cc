// fugo jobs: what the daemon has on its hands, and what people order about it.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "base/text.h"
#include "daemon/command/commands.h"
#include "daemon/command/job_output.h"
#include "daemon/command/names.h"
#include "daemon/command/table.h"
#include "daemon/jobs/job_control.h"
#include "daemon/progress.h"
#include "daemon/service/folders.h"
#include "daemon/service/orders.h"
#include "daemon/site_access.h"

namespace fugo::daemon {
namespace {

using keystore::JobRow;
using keystore::JobState;

struct JobsArguments {
  std::string id, reason;
  bool all = false;
};

bool is_over(const JobRow& job) {
  return job.state == JobState::kDone || job.state == JobState::kRefused ||
         job.state == JobState::kCancelled;
}

// What a row's state does not say by itself.
std::string remark_of(const JobRow& job) {
  if (is_over(job)) return {};
  if (job.cancelled) return "to be cancelled";
  if (job.paused) return "paused";
  if (job.state != JobState::kHeld) return {};
  return job.approved_by.empty() ? "for " + job.hold_reason : "approved by " + job.approved_by;
}

Json document_of(const JobRow& job) {
  return {{"id", job.id},
          {"kind", kind_name(job.kind)},
          {"state", state_name(job.state)},
          {"hold_reason", job.hold_reason},
          {"approved_by", job.approved_by},
          {"paused", job.paused},
          {"cancelled", job.cancelled},
          {"time", format_time(job.time)},
          {"rows", job.rows},
          {"rows_done", job.rows_done}};
}

// Names of files that were not taken yet; their ids are not known before.
std::vector<std::string> waiting_files(const Settings& settings) {
  std::vector<std::string> names;
  std::error_code error, ignored;
  for (auto at = std::filesystem::directory_iterator(settings.daemon.inbox, error);
       !error && at != std::filesystem::directory_iterator(); at.increment(error))
    if (at->path().filename().native().front() != '.' && !at->is_symlink(ignored) &&
        at->is_regular_file(ignored))
      names.push_back(safe_name(at->path().filename().string()));
  std::sort(names.begin(), names.end());
  return names;
}

Result<Outcome> list(Context& context, const JobsArguments& given) {
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_site(settings, role, keystore::Access::kRead));
  FUGO_ASSIGN(const auto jobs, site->ledger().jobs());
  FUGO_ASSIGN(const auto state, site->ledger().state());
  Outcome outcome;
  outcome.document = {{"jobs", Json::array()},
                      {"inbox", waiting_files(settings)},
                      {"freeze_issue", state.freeze_issue},
                      {"freeze_link", state.freeze_link}};
  Table table({"JOB", "KIND", "STATE", "ROWS", "DONE", "TIME", "REMARK"});
  for (const auto& job : jobs) {
    if (is_over(job) && !given.all) continue;
    outcome.document["jobs"].push_back(document_of(job));
    table.add({job.id, kind_name(job.kind), state_name(job.state), grouped(job.rows),
               grouped(job.rows_done), format_time(job.time), remark_of(job)});
  }
  outcome.text = table.text();
  const auto& waiting = outcome.document["inbox"];
  if (!waiting.empty()) outcome.text += fmt::format("{} files wait in the inbox\n", waiting.size());
  if (!state.freeze_issue.empty())
    outcome.text += fmt::format("issuing is frozen: {}\n", state.freeze_issue);
  return outcome;
}

struct Order {
  const char* name;
  const char* about;
  JobOrder order;
  const char* done;
};
constexpr std::array<Order, 5> kOrders = {{
    {"approve", "Let a held job go on", JobOrder::kApprove, "approved"},
    {"refuse", "Refuse a held job: nothing of it was applied", JobOrder::kRefuse, "refused"},
    {"pause", "Stop a job at its next step, until it is resumed", JobOrder::kPause, "paused"},
    {"resume", "Let a paused job go on", JobOrder::kResume, "resumed"},
    {"cancel", "Give a job up at its next step; what was committed stays", JobOrder::kCancel,
     "cancelled"},
}};

// Of a job that is given up: what it had committed.
Status tell_what_stays(engine::Site& site, const Settings& settings, const std::string& id,
                       Outcome& outcome) {
  FUGO_ASSIGN(const auto job, site.ledger().find_job(id));
  if (!job) return {};
  outcome.document["rows_done"] = job->rows_done;
  outcome.text += job->rows_done == 0 ? "nothing of it was applied\n"
                                      : fmt::format("{} of {} rows had been applied, and stay\n",
                                                    grouped(job->rows_done), grouped(job->rows));
  if (job->kind == keystore::JobKind::kChange && job->rows_done > 0)
    outcome.text += fmt::format("agencies are told of them in {}\n",
                                answers_path(job->output_directory, id).string());
  return publish_cancelled(job_options(settings), *job);
}

Result<Outcome> order(Context& context, const JobsArguments& given, const Order& what) {
  context.applied = "nothing was applied";
  FUGO_ASSIGN(const auto actor, context.actor());
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_site(settings, role, keystore::Access::kAppend));
  const OrderPlace place = {has_request(settings.daemon, given.id), !settings.custodians.empty(),
                            account_of_held(settings.daemon, given.id).value_or("")};
  FUGO_ASSIGN(const bool changed,
              order_job(site->ledger(), given.id, what.order, given.reason, actor, place));
  wake_daemon(settings.daemon);
  Outcome outcome;
  outcome.document = {{"job", given.id}, {"order", what.name}, {"changed", changed}};
  outcome.text = fmt::format("{} {} {}\n", given.id, changed ? "is" : "had been", what.done);
  if (what.order == JobOrder::kCancel)
    FUGO_TRY(tell_what_stays(*site, settings, given.id, outcome));
  return outcome;
}

}  // namespace

void add_jobs(CLI::App& app, Context& context) {
  auto given = std::make_shared<JobsArguments>();
  auto* group = app.add_subcommand("jobs", "Jobs of the daemon: list, approve, pause, cancel");
  group->require_subcommand(1);
  auto* listing = group->add_subcommand("list", "Jobs that are not over, and files that wait");
  listing->add_flag("--all", given->all, "Jobs that are over as well");
  listing->callback(
      [&context, given] { context.command = [given](Context& c) { return list(c, *given); }; });
  for (const Order& what : kOrders) {
    auto* command = group->add_subcommand(what.name, what.about);
    command->add_option("ID", given->id, "Id of the request")->required();
    command->add_option("--reason", given->reason, "For the journal");
    command->callback([&context, given, &what] {
      context.command = [given, &what](Context& c) { return order(c, *given, what); };
    });
  }
}

}  // namespace fugo::daemon
