#include "daemon/exchange/site_key.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "base/file.h"
#include "base/text.h"
#include "daemon/exchange/certificate.h"
#include "daemon/exchange/site_certificate.h"
#include "daemon/journal/journal_check.h"
#include "daemon/journal/signature.h"
#include "daemon/key_registry.h"
#include "daemon/site_access.h"
#include "hsm/exchange_key.h"

namespace fugo::daemon {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::int64_t kDaySeconds = 86'400;

// number_of is the number in a label, or in a file name that begins with one; 0 for another text.
std::uint16_t number_of(std::string_view text) {
  if (text.substr(0, hsm::kExchangeLabel.size()) != hsm::kExchangeLabel) return 0;
  text.remove_prefix(hsm::kExchangeLabel.size());
  std::uint16_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  return read.ec == std::errc() ? number : std::uint16_t{0};
}

// key_of is the label that a journal entry names, or empty.
std::string key_of(const keystore::JournalEntry& entry) {
  const auto details = Json::parse(entry.details, nullptr, false);
  const bool named = details.is_object() && details.contains("key") && details["key"].is_string();
  return named ? details["key"].get<std::string>() : std::string();
}

// last_journaled is the greatest number that a key was ever begun with: a key of which neither
// token nor folder has anything left was given to senders all the same.
Result<std::uint16_t> last_journaled(const keystore::Ledger& ledger) {
  std::uint16_t last = 0;
  FUGO_TRY(for_each_entry(ledger, 0, [&](const keystore::JournalEntry& entry) -> Status {
    if (entry.act == "exchange.create.start") last = std::max(last, number_of(key_of(entry)));
    return {};
  }));
  return last;
}

Result<std::uint16_t> next_number(const keystore::Ledger& ledger, const fs::path& folder,
                                  const std::vector<hsm::ExchangeKey>& keys) {
  FUGO_ASSIGN(std::uint16_t last, last_journaled(ledger));
  for (const auto& key : keys) last = std::max(last, number_of(key.label));
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    last = std::max(last, number_of(at->path().filename().string()));
  if (error) return fail_errno("cannot list the folder", folder.string(), error.value());
  if (last == 0xFFFF) return fail(ErrorCode::kRefused, "there are no more numbers", "exchange key");
  return static_cast<std::uint16_t>(last + 1);
}

Status journal(keystore::Ledger& ledger, const keystore::Actor& actor, const char* act,
               const Json& details) {
  FUGO_ASSIGN(const auto update, ledger.begin());
  FUGO_TRY(update->append_journal(actor, act, details.dump()));
  return update->commit();
}

fs::path certificate_path(const Settings& settings, const std::string& label) {
  return settings.exchange.certificates / (label + ".pem");
}

Result<SiteKey> describe(const Certificate& certificate, const fs::path& path) {
  SiteKey key;
  key.label = certificate.name();
  key.certificate = path;
  key.not_after = certificate.not_after();
  FUGO_ASSIGN(key.fingerprint, certificate.fingerprint());
  return key;
}

}  // namespace

Result<SiteKey> create_site_key(const Settings& settings, std::uint32_t days,
                                const keystore::Actor& actor) {
  FUGO_ASSIGN(const auto token_settings, settings.token(hsm::TokenRole::kIssuing));
  FUGO_TRY(make_directory(settings.exchange.certificates, 0755));
  FUGO_ASSIGN(const auto site,
              open_ledger(settings, hsm::TokenRole::kIssuing, keystore::Access::kAppend));
  FUGO_TRY(check_token_for(settings, *site.token));
  FUGO_ASSIGN(const auto registry, read_key_registry(*site.ledger));
  FUGO_ASSIGN(const auto journal_key, signing_key(registry.keys));
  FUGO_ASSIGN(const auto there, hsm::list_exchange_keys(token_settings));
  FUGO_ASSIGN(const auto number, next_number(*site.ledger, settings.exchange.certificates, there));
  CertificateWish wish;
  wish.label = hsm::exchange_label(number);
  wish.ledger = hex(site.ledger->header().ledger_id.bytes);
  wish.from = unix_now();
  wish.until = wish.from + days * kDaySeconds;
  FUGO_TRY(journal(*site.ledger, actor, "exchange.create.start", {{"key", wish.label}}));
  FUGO_ASSIGN(wish.key, hsm::make_exchange_key(token_settings, number));
  FUGO_ASSIGN(const auto pem, make_site_certificate(wish, *site.token, journal_key));
  const fs::path path = certificate_path(settings, wish.label);
  FUGO_TRY(write_durably(path, as_bytes(pem), 0644));
  FUGO_ASSIGN(const auto certificate, Certificate::read(path));
  FUGO_ASSIGN(auto key, describe(certificate, path));
  FUGO_TRY(journal(*site.ledger, actor, "exchange.create",
                   {{"key", key.label},
                    {"certificate", key.fingerprint},
                    {"until", format_time(key.not_after)}}));
  return key;
}

Result<std::vector<SiteKey>> list_site_keys(const Settings& settings) {
  FUGO_ASSIGN(const auto token_settings, settings.token(hsm::TokenRole::kIssuing));
  FUGO_ASSIGN(auto in_token, hsm::list_exchange_keys(token_settings));
  FUGO_ASSIGN(const auto certificates, read_certificates(settings.exchange.certificates));
  std::vector<SiteKey> keys;
  for (const Certificate& certificate : certificates) {
    FUGO_ASSIGN(auto key, describe(certificate, certificate_path(settings, certificate.name())));
    FUGO_ASSIGN(const auto numbers, certificate.rsa_key());
    const auto at = std::find_if(in_token.begin(), in_token.end(), [&](const auto& other) {
      return other.public_key.modulus == numbers.modulus;
    });
    if (at == in_token.end()) {
      key.fault = "its key is not in the token";
    } else {
      key.fault = at->fault;
      in_token.erase(at);
    }
    keys.push_back(std::move(key));
  }
  for (const auto& key : in_token)
    keys.push_back({key.label, {}, {}, 0, "has no certificate: nothing is encrypted to it"});
  return keys;
}

Result<bool> has_site_key(const keystore::Ledger& ledger) {
  std::set<std::string> keys;
  FUGO_TRY(for_each_entry(ledger, 0, [&](const keystore::JournalEntry& entry) -> Status {
    if (entry.act == "exchange.create.start") keys.insert(key_of(entry));
    if (entry.act == "exchange.destroy") keys.erase(key_of(entry));
    return {};
  }));
  return !keys.empty();
}

Result<bool> destroy_site_key(const Settings& settings, const std::string& label,
                              const keystore::Actor& actor) {
  if (number_of(label) == 0 || hsm::exchange_label(number_of(label)) != label)
    return fail(ErrorCode::kUsage, "is not the label of an exchange key", label,
                "fugo exchange list shows them");
  FUGO_ASSIGN(const auto token_settings, settings.token(hsm::TokenRole::kIssuing));
  FUGO_ASSIGN(const auto site,
              open_ledger(settings, hsm::TokenRole::kIssuing, keystore::Access::kAppend));
  FUGO_TRY(journal(*site.ledger, actor, "exchange.destroy.start", {{"key", label}}));
  // The certificate first: without it nothing asks for the key any more.
  const fs::path path = certificate_path(settings, label);
  std::error_code ignored;
  const bool had_certificate = fs::exists(path, ignored);
  if (had_certificate) FUGO_TRY(rename_durably(path, path.string() + ".old"));
  FUGO_ASSIGN(const bool had_key, hsm::destroy_exchange_key(token_settings, label));
  FUGO_TRY(journal(*site.ledger, actor, "exchange.destroy",
                   {{"key", label}, {"was_in_token", had_key}}));
  return had_key || had_certificate;
}

}  // namespace fugo::daemon
