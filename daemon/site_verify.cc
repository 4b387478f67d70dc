#include "daemon/site_verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/parallel.h"
#include "daemon/exchange/certificate.h"
#include "daemon/site_access.h"
#include "hsm/exchange_key.h"
#include "hsm/token.h"
#include "keystore/ledger.h"
#include "keystore/page_walker.h"
#include "keystore/verify_content.h"
#include "keystore/verify_tables.h"
#include "keystore/writer_lock.h"

namespace fugo::daemon {
namespace {

constexpr std::size_t kMostFindings = 1000;
constexpr auto kRestore = "restore the ledger from a backup; do not go on with this one";

// SiteVerifier goes through the parts. A part returns whether the next may be looked at.
class SiteVerifier {
 public:
  SiteVerifier(const Settings& settings, const VerifyStage& stage, bool locked)
      : settings_(settings), stage_(stage), locked_(locked) {}

  // verify_ledger is everything that needs no token, which has given its part: the data key.
  Result<VerifyOutcome> verify_ledger(const SecretBytes<32>& data_key) {
    FUGO_ASSIGN(const bool pages_sound, verify_pages());
    if (!pages_sound) return std::move(outcome_);
    FUGO_ASSIGN(const bool opened, open(data_key));
    if (!opened) return std::move(outcome_);
    FUGO_TRY(verify_tables());
    FUGO_TRY(verify_content());
    return std::move(outcome_);
  }

  Result<VerifyOutcome> verify() {
    UniqueFd lock;
    if (!locked_) {
      FUGO_ASSIGN(lock, keystore::take_writer_lock(settings_.ledger_directory));
    }
    FUGO_ASSIGN(const bool pages_sound, verify_pages());
    if (!pages_sound) return std::move(outcome_);
    FUGO_ASSIGN(const auto role, any_role(settings_));
    FUGO_ASSIGN(const bool opened, open(role));
    if (!opened) return std::move(outcome_);
    FUGO_TRY(verify_tables());
    FUGO_TRY(verify_content());
    FUGO_TRY(verify_keys());
    return std::move(outcome_);
  }

 private:
  // finding takes an error in when it is one of damage; anything else goes up.
  Result<bool> finding(const Error& error) {
    if (error.code != ErrorCode::kDamaged) return tl::unexpected<Error>(error);
    outcome_.findings.push_back(error);
    return false;
  }

  // wrong_key takes in what a token says of a key that is missing or not as it must be.
  Result<bool> wrong_key(hsm::TokenRole role, Error fault) {
    if (fault.code != ErrorCode::kRefused) return finding(fault);
    fault.where = fmt::format("{} token, {}", role_name(role), fault.where);
    outcome_.findings.push_back(std::move(fault));
    return false;
  }

  Result<bool> verify_pages() {
    stage_("pages", 0, 0);
    const auto file = settings_.ledger_directory / "data.mdb";
    FUGO_ASSIGN(const auto report, keystore::check_pages(file));
    for (const auto& found : report.findings)
      outcome_.findings.push_back({ErrorCode::kDamaged, found.what,
                                   fmt::format("{}, page {}", file.string(), found.page),
                                   kRestore});
    if (!report.sound()) return false;
    std::error_code ignored;
    const auto bytes = std::filesystem::file_size(file, ignored);
    const std::chrono::seconds limit(120 + (ignored ? 0 : bytes >> 23U));  // 8 MiB a second
    if (const auto walked = keystore::walk_in_child(settings_.ledger_directory, limit); !walked)
      return finding(walked.error());
    outcome_.pages = true;
    return true;
  }

  Result<bool> open(hsm::TokenRole role) {
    stage_("tables", 0, 0);
    const auto header = keystore::Ledger::read_header(settings_.ledger_directory);
    if (!header) return finding(header.error());
    FUGO_TRY(check_environment(settings_, *header));
    FUGO_TRY(open_token(role));
    const auto wrap_key = token_->find_key(
        {hsm::KeyPurpose::kDataWrap, hsm::KeyAlgorithm::kAes256, header->wrap_key_version},
        std::nullopt);
    if (!wrap_key) return wrong_key(role, wrap_key.error());
    FUGO_ASSIGN(const auto data_key, token_->unwrap_data_key(*wrap_key, header->wrapped_data_key));
    return open(data_key);
  }

  Result<bool> open(const SecretBytes<32>& data_key) {
    auto ledger =
        keystore::Ledger::open(settings_.ledger_directory, keystore::Access::kRead, data_key);
    if (!ledger) return finding(ledger.error());
    ledger_ = std::move(*ledger);
    return true;
  }

  Status open_token(hsm::TokenRole role) {
    token_.reset();  // one SoftHSM configuration at a time
    FUGO_ASSIGN(const auto wanted, settings_.token(role));
    FUGO_ASSIGN(token_, hsm::Token::open(wanted));
    return check_token_for(settings_, *token_);
  }

  Status verify_tables() {
    FUGO_ASSIGN(const auto findings, keystore::verify_tables(*ledger_));
    outcome_.findings.insert(outcome_.findings.end(), findings.begin(), findings.end());
    outcome_.tables = findings.empty();
    return {};
  }

  // verify_content needs everything as of one commit; other processes may append to the journal.
  Status verify_content() {
    if (!outcome_.tables) return {};
    for (int attempt = 0; attempt < 10; ++attempt) {
      FUGO_ASSIGN(const auto state, ledger_->state());
      FUGO_ASSIGN(const auto snapshot, ledger_->snapshot());
      FUGO_ASSIGN(const auto agencies, ledger_->agencies());
      FUGO_ASSIGN(const auto segments, ledger_->segments());
      FUGO_ASSIGN(const auto generations, ledger_->generations());
      FUGO_ASSIGN(key_rows_, ledger_->key_rows());
      FUGO_ASSIGN(const auto after, ledger_->state());
      if (after.commits != state.commits) continue;
      return verify_content({*snapshot, *ledger_->keys(), *ledger_->content_digest(), agencies,
                             segments, state, generations});
    }
    return fail(ErrorCode::kRefused, "other processes keep changing the ledger",
                settings_.ledger_directory.string(), "run it again when they are done");
  }

  Status verify_content(keystore::VerifyInput input) {
    input.threads = hardware_threads();
    input.max_findings = kMostFindings;
    outcome_.people = input.state.next_person;
    outcome_.issuances = input.state.issuances;
    outcome_.agencies = input.agencies.size();
    outcome_.journal_entries = input.state.journal_entries;
    outcome_.files = input.snapshot.files().size();
    FUGO_ASSIGN(const auto findings,
                keystore::verify_content(input, [this](std::uint64_t done, std::uint64_t total) {
                  stage_("content", done, total);
                }));
    outcome_.findings.insert(outcome_.findings.end(), findings.begin(), findings.end());
    outcome_.content = findings.empty();
    return {};
  }

  Status verify_keys() {
    if (!outcome_.tables) return {};
    stage_("keys", 0, 0);
    const auto expected = expected_keys(key_rows_);
    ledger_.reset();
    for (const auto role : configured_roles(settings_)) {
      if (token_ == nullptr || token_->role() != role) {
        const auto opened = open_token(role);
        // That a token is away says nothing about the ledger; damage is the graver news.
        if (!opened && outcome_.findings.empty()) return opened;
        if (!opened) outcome_.findings.push_back(opened.error());
        if (!opened) continue;
      }
      for (auto& fault : token_->verify_keys(expected)) {
        fault.where = fmt::format("{} token, {}", role_name(role), fault.where);
        outcome_.findings.push_back(std::move(fault));
      }
      if (role == hsm::TokenRole::kIssuing) FUGO_TRY(verify_exchange_keys());
      outcome_.tokens.push_back(role_name(role));
    }
    token_.reset();
    return {};
  }

  // They are in no registry: of those that are there the attributes are looked at.
  Status verify_exchange_keys() {
    FUGO_ASSIGN(const auto token, settings_.token(hsm::TokenRole::kIssuing));
    FUGO_ASSIGN(const auto keys, hsm::list_exchange_keys(token));
    for (const auto& key : keys)
      if (!key.fault.empty())
        outcome_.findings.push_back({ErrorCode::kRefused, key.fault, "issuing token, " + key.label,
                                     "fugo exchange destroy takes it away"});
    return verify_site_certificates(keys);
  }

  // Senders go on encrypting to a certificate whose key was lost with a token.
  Status verify_site_certificates(const std::vector<hsm::ExchangeKey>& keys) {
    const auto certificates = read_certificates(settings_.exchange.certificates);
    if (!certificates) outcome_.findings.push_back(certificates.error());
    if (!certificates) return {};
    for (const Certificate& certificate : *certificates) {
      FUGO_ASSIGN(const auto numbers, certificate.rsa_key());
      const bool there = std::any_of(keys.begin(), keys.end(), [&](const auto& key) {
        return key.public_key.modulus == numbers.modulus;
      });
      if (!there)
        outcome_.findings.push_back(
            {ErrorCode::kRefused, "the key of this certificate is not in the issuing token",
             (settings_.exchange.certificates / (certificate.name() + ".pem")).string(),
             "fugo exchange destroy takes it out of use; tell the senders"});
    }
    return {};
  }

  const Settings& settings_;
  const VerifyStage& stage_;
  const bool locked_;  // the caller has the writer's lock
  VerifyOutcome outcome_;
  std::shared_ptr<hsm::Token> token_;
  std::unique_ptr<keystore::Ledger> ledger_;
  std::vector<keystore::KeyRow> key_rows_;
};

}  // namespace

Result<VerifyOutcome> verify_site(const Settings& settings, const VerifyStage& stage,
                                  const UniqueFd* lock) {
  return SiteVerifier(settings, stage, lock != nullptr).verify();
}

Result<VerifyOutcome> verify_ledger(const Settings& settings, const SecretBytes<32>& data_key,
                                    const VerifyStage& stage) {
  return SiteVerifier(settings, stage, true).verify_ledger(data_key);
}

}  // namespace fugo::daemon
