#include "daemon/agency_registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "base/text.h"
#include "daemon/files/row.h"
#include "daemon/jobs/job_control.h"
#include "engine/accepted.h"
#include "engine/methods.h"

namespace fugo::daemon {
namespace {

using Registry = std::map<std::string, keystore::Agency>;

Result<Registry> read_registry(const keystore::Ledger& ledger) {
  FUGO_ASSIGN(auto agencies, ledger.agencies());
  Registry registry;
  for (auto& agency : agencies) registry.emplace(agency.code, std::move(agency));
  return registry;
}

// While a job is open its answers must not change, so that it can be taken up again.
Status refuse_while_job_is_open(engine::Site& site, const keystore::LedgerState& state) {
  if (state.open_job == 0) return {};
  FUGO_ASSIGN(const auto job, site.ledger().job(state.open_job));
  return fail(ErrorCode::kRefused,
              fmt::format("the job {} is not finished, and its answers must not change", job.id),
              "agency registry", "finish it first: " + how_to_go_on(job));
}

// Making is how agencies that are added now get their symbols.
struct Making {
  keystore::GenerationRow active;
  // The generation that a regeneration of every agency's symbols prepares: whoever is added
  // meanwhile must be in it, or would have no symbols of its key.
  std::optional<keystore::GenerationRow> pending;
  std::uint8_t pending_method = 0;  // 0: as in the active one
};

Result<Making> read_making(const keystore::Ledger& ledger, const keystore::LedgerState& state) {
  Making making;
  FUGO_ASSIGN(const auto generations, ledger.generations());
  FUGO_ASSIGN(const auto accepted, engine::accepted_of(generations, {}));
  making.active = accepted.front().row;
  FUGO_ASSIGN(const auto runs, ledger.runs());
  for (const auto& run : runs) {
    if (run.number != state.open_run || (run.what & keystore::kRunAgency) == 0 || run.agency != 0)
      continue;
    for (const auto& row : generations)
      if (row.number == run.to && row.state == keystore::GenerationState::kPending)
        making.pending = row;
    making.pending_method = run.agency_method;
  }
  return making;
}

// method_of is what makes the symbols of an agency from now on: the one that was given, else that
// which a regeneration gave to all.
const engine::Method* method_of(const NewAgency& agency, const Making& making) {
  if (!agency.method.empty()) return engine::find_method(agency.method);
  return making.active.agency_method == 0 ? engine::find_method(kDefaultAgencyMethod)
                                          : engine::find_method(making.active.agency_method);
}

// compare tells whether the agency is in the registry already, as asked for.
bool is_unchanged(const NewAgency& wanted, const Registry& registry, const Making& making,
                  Mistakes& mistakes) {
  const auto at = registry.find(wanted.code);
  if (at == registry.end()) return false;
  const auto& there = at->second;
  const auto* const method = method_of(wanted, making);
  const auto* const version = engine::version_for(there, making.active.number);
  if (there.state == keystore::AgencyState::kClosed)
    mistakes.add(wanted.line,
                 fmt::format("the agency {} is closed, and a code is not used again", wanted.code));
  else if (there.name != wanted.name)
    mistakes.add(wanted.line, fmt::format("the agency {} is registered with another name: {}",
                                          wanted.code, there.name));
  else if (method != nullptr && version != nullptr &&
           version->method != static_cast<std::uint8_t>(method->number))
    mistakes.add(wanted.line,
                 fmt::format("the agency {} is registered with another method", wanted.code));
  return true;
}

// make_parameters draws parameters; equal ones would be a broken generator.
Result<std::vector<Block>> make_parameters(engine::Site& site, const Registry& registry,
                                           std::size_t count) {
  std::vector<Block> parameters(count);
  std::set<Block> seen;
  for (const auto& [code, agency] : registry)
    for (const auto& version : agency.versions) seen.insert(version.parameter);
  for (auto& parameter : parameters) {
    FUGO_TRY(site.token().random(parameter.bytes));
    if (!seen.insert(parameter).second)
      return fail(ErrorCode::kHsm, "the token gave the same random number twice",
                  "C_GenerateRandom", "do not use this token");
  }
  return parameters;
}

Status put_all(keystore::Update& update, const std::vector<const NewAgency*>& fresh,
               const std::vector<Block>& parameters, const Making& making,
               const keystore::Actor& actor) {
  const auto now = unix_now();
  auto parameter = parameters.begin();
  for (const NewAgency* const agency : fresh) {
    const auto* const method = method_of(*agency, making);
    const auto number = static_cast<std::uint8_t>(method->number);
    keystore::Agency row;
    row.code = agency->code;
    row.name = agency->name;
    row.added = now;
    row.versions.push_back({making.active.number, number, making.active.agency_key, *parameter++});
    if (making.pending)
      row.versions.push_back({making.pending->number,
                              making.pending_method == 0 ? number : making.pending_method,
                              making.pending->agency_key, *parameter++});
    FUGO_TRY(update.put_agency(row));
    FUGO_TRY(update.append_journal(
        actor, "agency.add",
        nlohmann::ordered_json{
            {"agency", agency->code}, {"name", agency->name}, {"method", method->name}}
            .dump()));
  }
  return {};
}

}  // namespace

Result<AddedAgencies> add_agencies(engine::Site& site, const std::vector<NewAgency>& agencies,
                                   Mistakes mistakes, const Importing& importing,
                                   const keystore::Actor& actor) {
  FUGO_ASSIGN(auto update, site.ledger().begin());  // from here on nobody else changes anything
  FUGO_TRY(refuse_while_job_is_open(site, update->state()));
  FUGO_ASSIGN(const auto registry, read_registry(site.ledger()));
  FUGO_ASSIGN(const auto making, read_making(site.ledger(), update->state()));
  AddedAgencies counts;
  std::vector<const NewAgency*> fresh;
  for (const auto& agency : agencies) {
    check_new_agency(agency, importing.production, mistakes);
    if (is_unchanged(agency, registry, making, mistakes))
      ++counts.unchanged;
    else
      fresh.push_back(&agency);
  }
  if (registry.size() + fresh.size() >= 0xFFFF)
    mistakes.add(0, "a ledger holds at most 65,534 agencies");
  if (!mistakes.empty())
    return fail(ErrorCode::kRefused, mistakes.text(importing.subject), {},
                "correct them and run it again");
  if (fresh.empty()) return counts;
  FUGO_ASSIGN(const auto parameters,
              make_parameters(site, registry, fresh.size() * (making.pending ? 2 : 1)));
  FUGO_TRY(put_all(*update, fresh, parameters, making, actor));
  counts.added = fresh.size();
  if (!importing.file.empty())
    FUGO_TRY(update->append_journal(
        actor, "agency.import",
        nlohmann::ordered_json{
            {"file", importing.file}, {"added", counts.added}, {"unchanged", counts.unchanged}}
            .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)));
  FUGO_TRY(update->commit());
  return counts;
}

tl::unexpected<Error> no_such_agency(std::string_view code, std::string where) {
  return fail(ErrorCode::kRefused,
              may_hold_resident_code(code) ? "there is no agency of the code that was given"
                                           : fmt::format("there is no agency {}", code),
              std::move(where), "fugo agency list shows those there are");
}

namespace {

// open_agency finds an agency of the registry that is not closed.
Result<keystore::Agency*> open_agency(Registry& registry, const std::string& code) {
  const auto at = registry.find(code);
  if (at == registry.end()) return no_such_agency(code, "agency registry");
  if (at->second.state == keystore::AgencyState::kClosed)
    return fail(ErrorCode::kRefused, fmt::format("the agency {} is closed", code),
                "agency registry");
  return &at->second;
}

}  // namespace

Result<bool> set_agency_state(engine::Site& site, const std::string& code,
                              keystore::AgencyState state, const keystore::Actor& actor) {
  FUGO_ASSIGN(auto update, site.ledger().begin());
  FUGO_TRY(refuse_while_job_is_open(site, update->state()));
  FUGO_ASSIGN(auto registry, read_registry(site.ledger()));
  FUGO_ASSIGN(keystore::Agency* const agency, open_agency(registry, code));
  if (agency->state == state) return false;
  agency->state = state;
  FUGO_TRY(update->put_agency(*agency));
  const bool suspending = state == keystore::AgencyState::kSuspended;
  FUGO_TRY(update->append_journal(actor, suspending ? "agency.suspend" : "agency.resume",
                                  nlohmann::ordered_json{{"agency", code}}.dump()));
  FUGO_TRY(update->commit());
  return true;
}

Result<bool> set_agency_certificate(engine::Site& site, const std::string& code,
                                    const Certificate* certificate, const keystore::Actor& actor) {
  std::vector<std::uint8_t> der;
  nlohmann::ordered_json details = {{"agency", code}, {"certificate", nullptr}};
  if (certificate != nullptr) {
    FUGO_TRY(certificate->check_valid(unix_now()));
    if (!certificate->may_receive())
      return fail(ErrorCode::kRefused, "its key usage does not allow to encrypt to it",
                  "certificate " + certificate->name());
    FUGO_ASSIGN(der, certificate->der());
    FUGO_ASSIGN(details["certificate"], certificate->fingerprint());
  }
  FUGO_ASSIGN(auto update, site.ledger().begin());
  FUGO_TRY(refuse_while_job_is_open(site, update->state()));
  FUGO_ASSIGN(auto registry, read_registry(site.ledger()));
  FUGO_ASSIGN(keystore::Agency* const agency, open_agency(registry, code));
  if (agency->certificate == der) return false;
  agency->certificate = std::move(der);
  FUGO_TRY(update->put_agency(*agency));
  FUGO_TRY(update->append_journal(actor, "agency.certificate", details.dump()));
  FUGO_TRY(update->commit());
  return true;
}

}  // namespace fugo::daemon
