// fugo regenerate: new symbols for everybody, after a key was compromised or a method is retired.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <sstream>
#include <string>

#include "base/text.h"
#include "daemon/command/commands.h"
#include "daemon/command/names.h"
#include "daemon/command/table.h"
#include "daemon/progress.h"
#include "daemon/regenerate/mapping_folder.h"
#include "daemon/regenerate/plan_making.h"
#include "daemon/regenerate/regeneration.h"
#include "daemon/service/folders.h"
#include "daemon/site_access.h"
#include "engine/regenerate/run_steps.h"

namespace fugo::daemon {
namespace {

struct RegenerateArguments {
  std::string what, agency, method, reason;
  std::string run, out;
  std::string request;  // approved by custodians
  std::vector<std::string> approvals;
  std::vector<std::string> codes;
  bool reject_old = false, without_acks = false, take_back = false, clear_codes = false;
};

Result<std::uint8_t> parse_what(const std::string& text) {
  std::uint8_t what = 0;
  std::istringstream names(text);
  for (std::string name; std::getline(names, name, ',');) {
    const auto bit = engine::what_bit(name);
    if (!bit)
      return fail(ErrorCode::kUsage, "there is nothing of that name to be made anew", "--what",
                  "linkage, agency, record or ledger, or several with commas");
    what = static_cast<std::uint8_t>(what | *bit);
  }
  return what;
}

Json document_of(const keystore::RunRow& run) {
  const auto time = [](std::int64_t at) { return at == 0 ? Json(nullptr) : Json(format_time(at)); };
  auto keys = Json::array();
  for (const auto& name : engine::keys_of(run)) keys.push_back(hsm::key_label(name));
  return {{"run", run.id},
          {"state", state_name(run.state)},
          {"what", engine::what_names(run.what)},
          {"reason", run.reason},
          {"from", run.from},
          {"to", run.to},
          {"keys", keys},
          {"planned", time(run.planned)},
          {"committed", time(run.committed)},
          {"finished", time(run.finished)},
          {"people", run.planned_people},
          {"symbols", run.planned_symbols},
          {"agencies", run.planned_agencies},
          {"records", run.planned_records},
          {"people_done", run.people_done},
          {"people_made", run.people_made},
          {"people_rebased", run.people_rebased},
          {"people_left", (run.what & keystore::kRunRebase) != 0
                              ? Json(run.people_made - run.people_rebased)
                              : Json(nullptr)},
          {"codes_rejected", run.codes_rejected},
          {"codes_unknown", run.codes_unknown},
          {"symbols_mapped", run.symbols_mapped},
          {"records_mapped", run.records_mapped},
          {"symbols_rejected", run.symbols_rejected},
          {"out", run.output_directory},
          {"statement", run.statement}};
}

Result<Outcome> plan(Context& context, const RegenerateArguments& given) {
  context.applied = "nothing was applied";
  FUGO_ASSIGN(const auto actor, context.actor());
  FUGO_ASSIGN(const auto settings, context.settings());
  engine::RunWish wish;
  FUGO_ASSIGN(wish.what, parse_what(given.what));
  wish.agency = given.agency;
  wish.method = given.method;
  wish.reason = given.reason;
  wish.actor = actor;
  FUGO_ASSIGN(const auto planned,
              make_plan(settings, wish, {given.request, given.approvals}, context.applied));
  const auto estimate = estimate_of(planned, ledger_bytes(settings.ledger_directory));
  Outcome outcome;
  outcome.document = document_of(planned);
  outcome.document["seconds"] = estimate.seconds;
  outcome.document["bytes"] = estimate.bytes;
  outcome.text = fmt::format(
      "{}: {} anew, from symbol version {} to {}\n"
      "{} people, {} symbols of {} agencies, {} record symbols\n"
      "about {} of work in all, and {} of space at most beside what the ledger has now\n"
      "next: fugo regenerate run {} --out DIR\n",
      planned.id, engine::what_names(planned.what), planned.from, planned.to,
      grouped(planned.planned_people), grouped(planned.planned_symbols),
      grouped(planned.planned_agencies), grouped(planned.planned_records),
      duration_text(estimate.seconds),
      fmt::format("{:.1f} GB", static_cast<double>(estimate.bytes) / 1e9), planned.id);
  return outcome;
}

// Step is a run's step on an open site.
using Step = std::function<Status(engine::Site&, keystore::RunRow&, const RunOptions&)>;

Result<keystore::RunRow> take_step(Context& context, const RegenerateArguments& given,
                                   const Settings& settings, const Step& step) {
  FUGO_ASSIGN(const auto actor, context.actor());
  FUGO_ASSIGN(const auto site,
              open_site(settings, hsm::TokenRole::kIssuing, keystore::Access::kAppend));
  FUGO_ASSIGN(auto run, engine::find_run(site->ledger(), given.run));
  FUGO_ASSIGN(const auto before, site->ledger().state());
  auto bar = std::make_shared<Progress>("", true);
  RunOptions options;
  options.actor = actor;
  options.records = settings.daemon.records;
  options.ledger = settings.ledger_directory;
  options.wake = [&settings] { wake_daemon(settings.daemon); };
  options.progress = [bar](const char* stage, std::uint64_t done, std::uint64_t total) -> Status {
    bar->stage(stage);
    bar->update(done, total);
    return {};
  };
  const Status done = step(*site, run, options);
  options.wake();  // what was held back may go on
  if (!done) {
    const auto state = site->ledger().state();
    if (!state || state->commits != before.commits)
      context.applied = "what was committed stays; running it again goes on from there";
    return tl::unexpected<Error>(done.error());
  }
  return run;
}

Outcome describe(const keystore::RunRow& run, const std::string& text) {
  return {document_of(run), text, ExitCode::kDone};
}

// What a rebase found of the codes that it was given; nothing for other runs.
std::string rebase_text(const keystore::RunRow& run) {
  if ((run.what & keystore::kRunRebase) == 0) return {};
  return fmt::format(
      "{} people start afresh; {} are left, whose codes were not given: they keep their chain\n"
      "{} rows were rejected, {} codes are nobody's\n",
      grouped(run.people_rebased), grouped(run.people_made - run.people_rebased),
      grouped(run.codes_rejected), grouped(run.codes_unknown));
}

Result<Outcome> run_it(Context& context, const RegenerateArguments& given) {
  context.applied = "nothing was applied";
  FUGO_ASSIGN(const auto settings, context.settings());
  std::filesystem::path out;
  if (!given.out.empty()) {
    FUGO_ASSIGN(out, absolute_path("--out", given.out));
  }
  FUGO_ASSIGN(const auto run,
              take_step(context, given, settings,
                        [&](engine::Site& site, keystore::RunRow& row, const RunOptions& options) {
                          RunOptions with_codes = options;
                          with_codes.codes.assign(given.codes.begin(), given.codes.end());
                          with_codes.check_digits = settings.check_digits;
                          with_codes.exchange = settings.exchange;
                          with_codes.rows_per_day = settings.quota.rows_per_day;
                          if (given.clear_codes) with_codes.exchange.require_encrypted = false;
                          return carry_out(site, row, out, with_codes);
                        }));
  Outcome outcome = describe(
      run, fmt::format("{}: {} people and {} symbols are made; mappings in {}/{}\n{}"
                       "next: fugo regenerate {} {}\n",
                       run.id, grouped(run.people_made), grouped(run.symbols_mapped),
                       run.output_directory, run.id, rebase_text(run),
                       run.state == keystore::RunState::kCommitted ? "ack" : "commit", run.id));
  if (!given.codes.empty() && run.codes_rejected != 0) outcome.exit_code = ExitCode::kSomeRejected;
  return outcome;
}

Result<Outcome> commit_it(Context& context, const RegenerateArguments& given) {
  context.applied = "nothing was applied";
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto run,
              take_step(context, given, settings,
                        [&](engine::Site& site, keystore::RunRow& row, const RunOptions& options) {
                          return commit(site, row, given.reject_old, options);
                        }));
  return describe(
      run, fmt::format("{}: symbol version {} is active; {} is {}\n"
                       "next: hand the mappings out, fugo regenerate ack {} --agency CODE for "
                       "each, then fugo regenerate finish {}\n",
                       run.id, run.to, run.from,
                       run.reject_old ? "not accepted any more" : "accepted until the finish",
                       run.id, run.id));
}

Result<Outcome> abort_it(Context& context, const RegenerateArguments& given) {
  context.applied = "nothing was applied";
  FUGO_ASSIGN(const auto actor, context.actor());
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(auto run, abort_broken_plan(settings, given.run, actor));
  if (!run) {
    FUGO_ASSIGN(run,
                take_step(context, given, settings,
                          [](engine::Site& site, keystore::RunRow& row, const RunOptions& options) {
                            return abort(site, row, options);
                          }));
  }
  return describe(*run, fmt::format("{} is aborted: as if it had never been\n", run->id));
}

Outcome ack_taken_back(const keystore::RunRow& run, const std::string& agency) {
  return {{{"run", run.id}, {"agency", agency}, {"acknowledged", false}},
          fmt::format("{} is waited for again; its file is made again by fugo regenerate run {}\n",
                      agency, run.id)};
}

Result<Outcome> ack(Context& context, const RegenerateArguments& given) {
  context.applied = "nothing was applied";
  FUGO_ASSIGN(const auto actor, context.actor());
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_site(settings, role, keystore::Access::kAppend));
  FUGO_ASSIGN(const auto run, engine::find_run(site->ledger(), given.run));
  if (given.take_back) {
    FUGO_TRY(engine::take_back_ack(site->ledger(), run, given.agency, actor));
    return ack_taken_back(run, given.agency);
  }
  FUGO_ASSIGN(const bool fresh,
              engine::acknowledge_mapping(site->ledger(), run, given.agency, actor));
  context.applied = "it is noted; run it again to destroy the agency's mapping file";
  FUGO_ASSIGN(const bool destroyed, destroy_mapping(run, given.agency));
  FUGO_ASSIGN(const auto waiting, engine::waiting_agencies(site->ledger(), run));
  Outcome outcome;
  outcome.document = {{"run", run.id},
                      {"agency", given.agency},
                      {"acknowledged", fresh},
                      {"destroyed", destroyed},
                      {"waiting", waiting}};
  outcome.text = fmt::format("{} {} its mapping, and its file {} destroyed; {} agencies are left\n",
                             given.agency, fresh ? "has acknowledged" : "had acknowledged before",
                             destroyed ? "is" : "was already", grouped(waiting.size()));
  return outcome;
}

Result<Outcome> finish_it(Context& context, const RegenerateArguments& given) {
  context.applied = "nothing was applied";
  FUGO_ASSIGN(const auto settings, context.settings());
  std::vector<std::filesystem::path> left;
  FUGO_ASSIGN(const auto run, take_step(context, given, settings,
                                        [&](engine::Site& site, keystore::RunRow& row,
                                            const RunOptions& options) -> Status {
                                          FUGO_TRY(finish(site, row, given.without_acks, options));
                                          FUGO_ASSIGN(left,
                                                      unacknowledged_files(site.ledger(), row));
                                          return {};
                                        }));
  Outcome outcome =
      describe(run, fmt::format("{} is finished: {} old symbols are unknown; statement: {}\n",
                                run.id, grouped(run.symbols_rejected), run.statement));
  outcome.document["mapping_files_left"] = Json::array();
  for (const auto& path : left) outcome.document["mapping_files_left"].push_back(path.string());
  if (!left.empty())
    outcome.text += fmt::format(
        "{} mapping files were not acknowledged, and are still there: {}, ...\n"
        "they are as secret as keys: fugo regenerate ack {} --agency CODE destroys each\n",
        grouped(left.size()), left.front().string(), run.id);
  return outcome;
}

Result<Outcome> status_of_one(const keystore::Ledger& ledger, const std::string& id) {
  FUGO_ASSIGN(const auto run, engine::find_run(ledger, id));
  FUGO_ASSIGN(const auto rows, ledger.run_agencies(run.number));
  FUGO_ASSIGN(const auto agencies, ledger.agencies());
  Outcome outcome;
  outcome.document = document_of(run);
  outcome.document["mappings"] = Json::array();
  Table table({"AGENCY", "SYMBOLS", "ACKNOWLEDGED", "BY"});
  for (const auto& row : rows) {
    if (row.agency == 0) continue;
    const auto agency = std::find_if(agencies.begin(), agencies.end(),
                                     [&](const auto& a) { return a.number == row.agency; });
    const std::string code = agency == agencies.end() ? "?" : agency->code;
    const std::string when = row.acknowledged == 0 ? "-" : format_time(row.acknowledged);
    outcome.document["mappings"].push_back(
        {{"agency", code},
         {"symbols", row.symbols},
         {"sha256", hex(row.sha256)},
         {"acknowledged", row.acknowledged == 0 ? Json(nullptr) : Json(when)},
         {"by", row.acknowledged_by}});
    table.add({code, grouped(row.symbols), when, row.acknowledged_by});
  }
  outcome.text = fmt::format("{} {}: {} anew, version {} to {}\n{} of {} people, {} symbols\n{}{}",
                             run.id, state_name(run.state), engine::what_names(run.what), run.from,
                             run.to, grouped(run.people_done), grouped(run.planned_people),
                             grouped(run.symbols_mapped),
                             run.people_made == 0 ? std::string() : rebase_text(run), table.text());
  return outcome;
}

Result<Outcome> status(Context& context, const RegenerateArguments& given) {
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_ledger(settings, role, keystore::Access::kRead));
  if (!given.run.empty()) return status_of_one(*site.ledger, given.run);
  FUGO_ASSIGN(const auto runs, site.ledger->runs());
  Outcome outcome;
  outcome.document = {{"runs", Json::array()}};
  Table table({"RUN", "STATE", "WHAT", "VERSIONS", "PLANNED", "REASON"});
  for (const auto& run : runs) {
    outcome.document["runs"].push_back(document_of(run));
    table.add({run.id, state_name(run.state), engine::what_names(run.what),
               fmt::format("{} to {}", run.from, run.to), format_time(run.planned), run.reason});
  }
  outcome.text = table.text();
  return outcome;
}

using Act = Result<Outcome> (*)(Context&, const RegenerateArguments&);

}  // namespace

void add_regenerate(CLI::App& app, Context& context) {
  auto given = std::make_shared<RegenerateArguments>();
  auto* group = app.add_subcommand(
      "regenerate", "New symbols for everybody: a key was compromised, or a method is retired");
  group->require_subcommand(1);
  const auto offer = [&](const char* name, const char* about, Act act) {
    auto* command = group->add_subcommand(name, about);
    command->callback([&context, given, act] {
      context.command = [given, act](Context& c) { return act(c, *given); };
    });
    return command;
  };
  const auto about_run = [&](const char* name, const char* about, Act act) {
    auto* command = offer(name, about, act);
    command->add_option("RUN", given->run, "Id of the run, as plan printed it")
        ->required()
        ->check([](const std::string& id) {
          return id.empty() ? std::string("RUN: must not be empty") : std::string();
        });
    return command;
  };
  auto* planning = offer("plan", "Say what is made anew, and make the keys for it", plan);
  planning
      ->add_option("--what", given->what, "linkage, agency, record, ledger, rebase; commas between")
      ->required();
  planning->add_option("--agency", given->agency, "Only this agency's parameter");
  planning->add_option("--method", given->method, "Method of what is made anew");
  planning->add_option("--reason", given->reason, "Why; it is journaled")->required();
  planning->add_option("--request", given->request, "Request that custodians approved");
  planning->add_option("--approval", given->approvals, "CUSTODIAN=SIGNATURE-FILE, once for each");
  auto* running = about_run(
      "run", "Make the new generation and the mapping files; goes on where it was", run_it);
  running->add_option("--out", given->out, "Mapping files appear in OUT/<run>/");
  running->add_option("--codes", given->codes,
                      "Of a rebase: a file with resident codes, in the form of an issue request");
  running->add_flag("--clear-codes", given->clear_codes,
                    "Take such files in the clear although exchange.require_encrypted is set");
  about_run("commit", "Make the new generation the active one", commit_it)
      ->add_flag("--reject-old", given->reject_old, "Old symbols are not accepted any more");
  auto* acknowledging = about_run("ack", "An agency has taken its mapping over", ack);
  acknowledging->add_option("--agency", given->agency, "Code of the agency")->required();
  acknowledging->add_flag("--take-back", given->take_back,
                          "It has not: the acknowledgement was a mistake");
  about_run("finish", "End the acceptance of old symbols, and retire the old keys", finish_it)
      ->add_flag("--without-acks", given->without_acks, "Do not wait for agencies");
  about_run("abort", "Before the commit: as if it had never been", abort_it);
  offer("status", "All runs, or one with its agencies", status)
      ->add_option("RUN", given->run, "Id of a run");
}

}  // namespace fugo::daemon
