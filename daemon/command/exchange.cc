// fugo exchange: the keys that requests are encrypted to.
#include <fmt/format.h>

#include <memory>

#include "base/text.h"
#include "daemon/command/commands.h"
#include "daemon/command/table.h"
#include "daemon/exchange/site_key.h"

namespace fugo::daemon {
namespace {

constexpr std::uint32_t kDefaultDays = 730, kMostDays = 3650;

Json document_of(const SiteKey& key) {
  const bool has = !key.certificate.empty();
  return {{"key", key.label},
          {"certificate", has ? Json(key.certificate.string()) : Json(nullptr)},
          {"sha256", has ? Json(key.fingerprint) : Json(nullptr)},
          {"until", has ? Json(format_time(key.not_after)) : Json(nullptr)},
          {"fault", key.fault.empty() ? Json(nullptr) : Json(key.fault)}};
}

Result<Outcome> create(Context& context, std::uint32_t days) {
  context.applied = "a key without a certificate may be in the token: fugo exchange list";
  FUGO_ASSIGN(const auto actor, context.actor());
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto key, create_site_key(settings, days, actor));
  Outcome outcome;
  outcome.document = document_of(key);
  outcome.text = fmt::format(
      "{} is in the issuing token\ncertificate: {}\nSHA-256: {}\nuntil: {}\nGive the certificate "
      "to those who send requests, and tell them its SHA-256 on another way.\n",
      key.label, key.certificate.string(), key.fingerprint, format_time(key.not_after));
  return outcome;
}

Result<Outcome> list(Context& context) {
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto keys, list_site_keys(settings));
  Outcome outcome;
  outcome.document = {{"keys", Json::array()}};
  Table table({"KEY", "UNTIL", "SHA-256 OF THE CERTIFICATE", "STATE"});
  for (const auto& key : keys) {
    outcome.document["keys"].push_back(document_of(key));
    table.add({key.label, key.not_after == 0 ? "-" : format_time(key.not_after),
               key.fingerprint.empty() ? "-" : key.fingerprint,
               key.fault.empty() ? "good" : key.fault});
    if (!key.fault.empty()) outcome.exit_code = ExitCode::kFailed;
  }
  outcome.text = table.text();
  return outcome;
}

Result<Outcome> destroy(Context& context, const std::string& label) {
  context.applied = "the key may still be in the token: run it again";
  FUGO_ASSIGN(const auto actor, context.actor());
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const bool there, destroy_site_key(settings, label, actor));
  Outcome outcome;
  outcome.document = {{"key", label}, {"destroyed", there}};
  outcome.text = fmt::format("{} {}\n", label, there ? "is destroyed" : "was not there");
  return outcome;
}

}  // namespace

void add_exchange(CLI::App& app, Context& context) {
  auto* group = app.add_subcommand("exchange", "Keys that requests are encrypted to");
  group->require_subcommand(1);
  auto days = std::make_shared<std::uint32_t>(kDefaultDays);
  auto* make = group->add_subcommand(
      "create", "Make a key in the issuing token, and its certificate for senders");
  make->add_option("--days", *days, "How long the certificate is valid")
      ->check(CLI::Range(1U, kMostDays))
      ->capture_default_str();
  make->callback(
      [&context, days] { context.command = [days](Context& c) { return create(c, *days); }; });
  group->add_subcommand("list", "Exchange keys, their certificates, whether the token has them")
      ->callback([&context] { context.command = list; });
  auto label = std::make_shared<std::string>();
  auto* end = group->add_subcommand(
      "destroy", "Destroy a key: what is encrypted to it can be opened by nobody any more");
  end->add_option("KEY", *label, "Label of the key")->required();
  end->callback(
      [&context, label] { context.command = [label](Context& c) { return destroy(c, *label); }; });
}

}  // namespace fugo::daemon
