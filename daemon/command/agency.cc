// fugo agency: the registry of agencies.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "base/file.h"
#include "base/text.h"
#include "daemon/agency_registry.h"
#include "daemon/command/commands.h"
#include "daemon/command/names.h"
#include "daemon/command/table.h"
#include "daemon/site_access.h"
#include "engine/methods.h"

namespace fugo::daemon {
namespace {

constexpr std::size_t kMaxFileBytes = 64U << 20U;

struct AgencyOptions {
  std::string file, code, name, method;
  bool remove = false;
};

std::string method_name(std::uint8_t number) {
  const auto* method = engine::find_method(number);
  return method != nullptr ? std::string(method->name) : fmt::format("method {}", number);
}

Result<Outcome> add_all(Context& context, const std::vector<NewAgency>& agencies, Mistakes mistakes,
                        Importing importing) {
  FUGO_ASSIGN(const auto actor, context.actor());
  FUGO_ASSIGN(const auto settings, context.settings());
  importing.production = settings.production();
  FUGO_ASSIGN(const auto site,
              open_site(settings, hsm::TokenRole::kIssuing, keystore::Access::kAppend));
  FUGO_ASSIGN(const auto counts,
              add_agencies(*site, agencies, std::move(mistakes), importing, actor));
  Outcome outcome;
  outcome.document = {{"added", counts.added}, {"unchanged", counts.unchanged}};
  outcome.text = fmt::format("{} added, {} were there already\n", counts.added, counts.unchanged);
  return outcome;
}

Result<Outcome> import(Context& context, const AgencyOptions& given) {
  context.applied = "nothing was applied";
  FUGO_ASSIGN(const auto text, read_small(given.file, kMaxFileBytes));
  Mistakes mistakes;
  const auto agencies = parse_agency_file(text, mistakes);
  return add_all(context, agencies, std::move(mistakes), {given.file, given.file});
}

Result<Outcome> add(Context& context, const AgencyOptions& given) {
  context.applied = "nothing was applied";
  Mistakes mistakes;
  const NewAgency agency{0, given.code, given.name, given.method};
  check_new_agency(agency, false, mistakes);
  if (!mistakes.empty())
    return fail(ErrorCode::kUsage, mistakes.text("the command line"), "fugo agency add");
  return add_all(context, {agency}, {}, {"the command line", {}});
}

Result<Outcome> list(Context& context) {
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_site(settings, role, keystore::Access::kRead));
  Outcome outcome;
  outcome.document = {{"agencies", Json::array()}};
  Table table({"CODE", "STATE", "METHOD", "ADDED", "ENCRYPTED UNTIL", "NAME"});
  for (const auto& agency : site->agencies()) {
    const auto* const version = engine::version_for(agency, site->active_generation().number);
    const auto method = version == nullptr ? "" : method_name(version->method);
    std::optional<Certificate> certificate;
    if (!agency.certificate.empty()) {
      FUGO_ASSIGN(certificate, Certificate::parse(agency.certificate, "agency " + agency.code));
    }
    const std::string until = certificate ? format_time(certificate->not_after()) : "-";
    outcome.document["agencies"].push_back(
        {{"code", agency.code},
         {"name", agency.name},
         {"state", state_name(agency.state)},
         {"method", method},
         {"added", format_time(agency.added)},
         {"certificate_until", certificate ? Json(until) : Json(nullptr)}});
    table.add({agency.code, state_name(agency.state), method, format_time(agency.added), until,
               agency.name});
  }
  outcome.text = table.text();
  return outcome;
}

Result<Outcome> set_state(Context& context, const AgencyOptions& given,
                          keystore::AgencyState state) {
  context.applied = "nothing was applied";
  FUGO_ASSIGN(const auto actor, context.actor());
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_site(settings, role, keystore::Access::kAppend));
  FUGO_ASSIGN(const bool changed, set_agency_state(*site, given.code, state, actor));
  Outcome outcome;
  outcome.document = {{"agency", given.code}, {"state", state_name(state)}, {"changed", changed}};
  outcome.text =
      fmt::format("{} {} {}\n", given.code, changed ? "is now" : "was already", state_name(state));
  return outcome;
}

Result<Outcome> certificate(Context& context, const AgencyOptions& given) {
  context.applied = "nothing was applied";
  if (given.file.empty() != given.remove)
    return fail(ErrorCode::kUsage, "takes either FILE or --remove", "fugo agency certificate");
  FUGO_ASSIGN(const auto actor, context.actor());
  FUGO_ASSIGN(const auto settings, context.settings());
  std::optional<Certificate> wanted;
  if (!given.remove) {
    FUGO_ASSIGN(wanted, Certificate::read(given.file));
  }
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_site(settings, role, keystore::Access::kAppend));
  FUGO_ASSIGN(const bool changed,
              set_agency_certificate(*site, given.code, wanted ? &*wanted : nullptr, actor));
  Outcome outcome;
  outcome.document = {{"agency", given.code}, {"certificate", nullptr}, {"changed", changed}};
  if (!wanted) {
    outcome.text = fmt::format("what is written for {} is not encrypted\n", given.code);
    return outcome;
  }
  FUGO_ASSIGN(const auto fingerprint, wanted->fingerprint());
  outcome.document["certificate"] = fingerprint;
  outcome.text =
      fmt::format("what is written for {} is encrypted from now on\nSHA-256: {}\nuntil: {}\n",
                  given.code, fingerprint, format_time(wanted->not_after()));
  return outcome;
}

}  // namespace

void add_agency(CLI::App& app, Context& context) {
  auto given = std::make_shared<AgencyOptions>();
  auto* group = app.add_subcommand("agency", "The registry of agencies");
  group->require_subcommand(1);
  const auto offer = [&](const char* name, const char* about, auto act) {
    auto* command = group->add_subcommand(name, about);
    command->callback([&context, given, act] {
      context.command = [given, act](Context& c) { return act(c, *given); };
    });
    return command;
  };
  offer("import", "Add the agencies of a CSV file: agency_code,name,method", import)
      ->add_option("FILE", given->file, "UTF-8; method may be empty")
      ->required();
  auto* one = offer("add", "Add one agency", add);
  one->add_option("CODE", given->code, "1 to 16 characters of 0-9A-Z")->required();
  one->add_option("--name", given->name, "Name of the agency")->required();
  one->add_option("--method", given->method, "cmac-ff-aes256 (default), hmac-sha256 or xts-aes256");
  offer("list", "List all agencies", [](Context& c, const AgencyOptions&) { return list(c); });
  offer("suspend", "Reject rows for this agency from now on",
        [](Context& c, const AgencyOptions& o) {
          return set_state(c, o, keystore::AgencyState::kSuspended);
        })
      ->add_option("CODE", given->code, "Agency code")
      ->required();
  offer("resume", "Take rows for this agency again",
        [](Context& c, const AgencyOptions& o) {
          return set_state(c, o, keystore::AgencyState::kActive);
        })
      ->add_option("CODE", given->code, "Agency code")
      ->required();
  auto* sealing = offer("certificate", "Encrypt everything for an agency to its certificate",
                        [](Context& c, const AgencyOptions& o) { return certificate(c, o); });
  sealing->add_option("CODE", given->code, "Agency code")->required();
  sealing->add_option("FILE", given->file, "X.509 certificate of the agency, PEM or DER");
  sealing->add_flag("--remove", given->remove, "Encrypt nothing for it from now on");
  add_agency_merge(*group, context);
}

}  // namespace fugo::daemon
