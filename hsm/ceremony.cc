#include "hsm/ceremony.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

#include "base/text.h"
#include "hsm/ceremony_site.h"

namespace fugo::hsm {
namespace {

// Ceremony is one run over all targets. Each visit ends before the next begins, since a process
// sees one SoftHSM configuration at a time.
class Ceremony {
 public:
  Ceremony(const std::vector<CeremonyTarget>& targets, const std::vector<KeyName>& names,
           std::string label)
      : targets_(targets), names_(names), label_(std::move(label)) {}

  Result<CeremonyResult> run(const RsaPublicKey& recovery_key,
                             const std::filesystem::path& package);
  // undo removes what run() made; an error of it is added to `why`.
  void undo(Error& why, const std::filesystem::path& package);

 private:
  Status prepare();
  Status deliver(const SourceKeys& made);
  Status check(const SourceKeys& made);
  // remove goes on after an error and returns the first.
  Status remove(CeremonySite& site) const;

  const std::vector<CeremonyTarget>& targets_;
  const std::vector<KeyName>& names_;
  const std::string label_;
  std::size_t begun_ = 0;  // targets in which something may have been made
  bool package_written_ = false;
  std::vector<Delivery> deliveries_;
};

Status Ceremony::prepare() {
  for (const CeremonyTarget& target : targets_) {
    FUGO_ASSIGN(auto site, CeremonySite::open(target.settings));
    FUGO_TRY(site.check_all_absent(names_));
  }
  for (const CeremonyTarget& target : targets_) {
    FUGO_ASSIGN(auto site, CeremonySite::open(target.settings));
    ++begun_;
    Delivery delivery;
    FUGO_ASSIGN(delivery.ceremony_key, site.make_ceremony_key(names_, label_));
    deliveries_.push_back(std::move(delivery));
  }
  return {};
}

Status Ceremony::deliver(const SourceKeys& made) {
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    FUGO_ASSIGN(auto site, CeremonySite::open(targets_[i].settings));
    FUGO_TRY(site.receive(made.deliveries[i], label_));
  }
  return {};
}

Status Ceremony::check(const SourceKeys& made) {
  std::vector<ExpectedKey> expected;
  for (const CeremonyKey& key : made.keys) expected.push_back({key.name, key.fingerprint});
  for (const CeremonyTarget& target : targets_) {
    FUGO_ASSIGN(const auto token, Token::open(target.settings));
    auto faults = token->verify_keys(expected);
    if (!faults.empty()) return tl::unexpected<Error>(std::move(faults.front()));
    for (const CeremonyKey& key : made.keys) {
      if (key.name.purpose != KeyPurpose::kDataWrap) continue;
      FUGO_ASSIGN(const auto wrap_key, token->find_key(key.name, std::nullopt));
      FUGO_TRY(token->unwrap_data_key(wrap_key, made.wrapped_data_key));
    }
  }
  return {};
}

Result<CeremonyResult> Ceremony::run(const RsaPublicKey& recovery_key,
                                     const std::filesystem::path& package) {
  FUGO_TRY(prepare());
  FUGO_ASSIGN(auto made,
              make_source_keys(targets_.front(), targets_, deliveries_, names_, recovery_key));
  // Before any token keeps a key: no key is ever without its recovery.
  FUGO_TRY(write_recovery_package(made.recovery, recovery_key, package));
  package_written_ = true;
  FUGO_TRY(deliver(made));
  FUGO_TRY(check(made));
  return CeremonyResult{std::move(made.keys), std::move(made.wrapped_data_key),
                        std::move(made.journal_public_key)};
}

Status Ceremony::remove(CeremonySite& site) const {
  Status keys = site.remove(names_);
  Status own = site.remove_ceremony_keys();
  return keys ? own : keys;
}

void Ceremony::undo(Error& why, const std::filesystem::path& package) {
  std::error_code ignored;
  if (package_written_) std::filesystem::remove(package, ignored);
  for (std::size_t i = 0; i < begun_; ++i) {
    auto site = CeremonySite::open(targets_[i].settings);
    const Status removed = site ? remove(*site) : Status(tl::unexpected<Error>(site.error()));
    if (!removed)
      why.hint += (why.hint.empty() ? "" : "; ") + std::string("and objects may be left in ") +
                  targets_[i].settings.uri + ": " + removed.error().message();
  }
}

Status check_arguments(const std::vector<CeremonyTarget>& targets,
                       const std::vector<KeyName>& names) {
  if (targets.empty() || names.empty())
    return fail(ErrorCode::kUsage, "a ceremony needs targets and keys");
  const std::set<KeyName> distinct(names.begin(), names.end());
  if (distinct.size() != names.size() || !std::all_of(names.begin(), names.end(), is_valid))
    return fail(ErrorCode::kUsage, "a key is named twice, or is not of the table");
  for (const KeyPurpose purpose : {KeyPurpose::kDataWrap, KeyPurpose::kJournal})
    if (std::count_if(names.begin(), names.end(),
                      [&](const KeyName& name) { return name.purpose == purpose; }) > 1)
      return fail(ErrorCode::kUsage, "one wrap key and one journal key a ceremony");
  return {};
}

}  // namespace

Result<CeremonyResult> run_ceremony(const std::vector<CeremonyTarget>& targets,
                                    const std::vector<KeyName>& names,
                                    const std::filesystem::path& recovery_public_key,
                                    const std::filesystem::path& recovery_package) {
  FUGO_TRY(check_arguments(targets, names));
  FUGO_ASSIGN(const auto recovery_key, read_rsa_public_key(recovery_public_key));
  if (std::error_code ignored; std::filesystem::exists(recovery_package, ignored))
    return fail(ErrorCode::kRefused, "there is a recovery package already",
                recovery_package.string());
  std::array<std::uint8_t, 8> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
    return fail_errno("cannot get random bytes", "getrandom", errno);
  Ceremony ceremony(targets, names, std::string(kCeremonyLabel) + hex(random));
  auto done = ceremony.run(recovery_key, recovery_package);
  if (!done) ceremony.undo(done.error(), recovery_package);
  return done;
}

Status check_keys_absent(const TokenSettings& token, const std::vector<KeyName>& names) {
  FUGO_ASSIGN(auto site, CeremonySite::open(token));
  return site.check_all_absent(names);
}

Result<std::string> destroy_keys(const TokenSettings& token, const std::vector<KeyName>& names) {
  FUGO_ASSIGN(auto site, CeremonySite::open(token));
  Status removed = site.remove_ceremony_keys();
  if (const Status keys = site.remove(names); removed && !keys) removed = keys;
  FUGO_TRY(removed);
  FUGO_TRY(site.check_all_absent(names));
  return site.description();
}

}  // namespace fugo::hsm
