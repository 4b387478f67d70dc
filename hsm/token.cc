#include "hsm/token.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

#include "base/parallel.h"
#include "hsm/pkcs11_token.h"

namespace fugo::hsm {
namespace {

using std::chrono::milliseconds;

// The pauses before a module is initialised anew for a token that could not be opened.
constexpr std::array kLookAgain{milliseconds{0}, milliseconds{20}, milliseconds{80},
                                milliseconds{320}};

// Some modules see a token that was plugged in, or a server that is back, only from their
// initialisation on; that is tried once. A token that is not there at all is looked for some times
// more: SoftHSM writes its file anew at each login, and another process does not see it meanwhile.
bool may_be_seen_later(const Result<std::shared_ptr<Token>>& opened, milliseconds pause) {
  if (opened || opened.error().code != ErrorCode::kHsm || refuses_pin(opened.error().native))
    return false;
  return pause == milliseconds{0} || opened.error().native == CKR_TOKEN_NOT_PRESENT;
}

}  // namespace

Result<std::shared_ptr<Token>> Token::open(const TokenSettings& settings) {
  const std::size_t bytes = settings.max_bytes_per_call;
  if (bytes < 3 * sizeof(Block) || bytes % sizeof(Block) != 0)
    return fail(ErrorCode::kUsage, fmt::format("{} is no multiple of 16 of at least 48", bytes),
                "hsm.max_bytes_per_call");
  FUGO_ASSIGN(const auto module, Module::open(settings.module, settings.softhsm_conf));
  const auto open_once = [&]() -> Result<std::shared_ptr<Token>> {
    auto token = std::make_shared<Pkcs11Token>(settings, module);
    FUGO_TRY(token->start());
    return token;
  };
  std::uint64_t epoch = module->epoch();
  auto opened = open_once();
  for (const auto pause : kLookAgain) {
    if (!may_be_seen_later(opened, pause)) break;
    std::this_thread::sleep_for(pause);
    // Not while others work with the module: their Tokens see to that. Nothing if one has done it.
    if (module.use_count() != 1 || module->is_foreign()) break;
    const auto renewed = module->reinitialise(epoch, settings.call_limit);
    epoch = module->epoch();
    if (renewed) opened = open_once();  // else what opening said stays the reason
  }
  return opened;
}

Pkcs11Token::Pkcs11Token(const TokenSettings& settings, std::shared_ptr<Module> module)
    : settings_(settings),
      module_(std::move(module)),
      blocks_per_call_(settings.max_bytes_per_call / sizeof(Block)),
      threads_(settings.threads == 0 ? hardware_threads() : settings.threads),
      pool_(module_, 0, settings.call_limit),
      recovery_(settings.first_pause, settings.longest_pause) {}

Pkcs11Token::~Pkcs11Token() {
  // Where calls hang the sessions are left to the end of the process.
  if (const auto pass = module_->enter(settings_.call_limit)) {
    pool_.clear();
    sentinel_.close();
  }
}

Result<Key> Pkcs11Token::find_key(const KeyName& name, const std::optional<Block>& fingerprint) {
  FUGO_ASSIGN(const auto entry, with_recovery([&] { return look_up(name, fingerprint); }));
  const std::unique_lock lock(keys_mutex_);
  const auto known = std::find_if(keys_.begin(), keys_.end(),
                                  [&](const Entry& other) { return other.name == name; });
  const auto slot = static_cast<std::size_t>(known - keys_.begin());
  if (known == keys_.end())
    keys_.push_back(entry);
  else
    *known = entry;
  return Key{name, slot, !signs_blocks(entry)};
}

Result<Pkcs11Token::Entry> Pkcs11Token::look_up(const KeyName& name,
                                                const std::optional<Block>& fingerprint) {
  const KeyPlacement placement = placement_of(name, settings_.role);
  if (!is_valid(name) || !placement.present)
    return fail(ErrorCode::kRefused,
                fmt::format("key {} does not belong in a token of this role", key_label(name)));
  Entry entry{name, placement.uses, CK_INVALID_HANDLE, module_->epoch(), {}, {}, {}};
  FUGO_ASSIGN(entry.handle, find_checked(name, entry.uses));
  FUGO_TRY(prove_fingerprint(entry));
  if (fingerprint && !equal_in_constant_time(entry.fingerprint.bytes, fingerprint->bytes))
    return fail(ErrorCode::kRefused,
                fmt::format("key {}: the fingerprint is not the registered one", key_label(name)),
                {}, "this is another key under the same name; do not use this token");
  return entry;
}

Result<CK_OBJECT_HANDLE> Pkcs11Token::find_checked(const KeyName& name, KeyUses& uses) {
  FUGO_ASSIGN(const auto lock, lock_within(admin_mutex_));
  FUGO_ASSIGN(auto lease, pool_.acquire());
  const auto find = [&]() -> Result<CK_OBJECT_HANDLE> {
    FUGO_TRY(lease.session().check_logged_in());
    FUGO_ASSIGN(const auto handle, find_one_key(lease.functions(), lease.handle(), name));
    const KeyUses cmac = by_cmac(name.algorithm, uses);
    if (cmac.sign && !uses.sign) {
      FUGO_ASSIGN(const bool for_cmac, is_for_cmac(lease.functions(), lease.handle(), handle));
      if (for_cmac) uses = cmac;
    }
    FUGO_TRY(check_attributes(lease.functions(), lease.handle(), handle, name, uses,
                              settings_.allowed_mechanisms));
    return handle;
  };
  auto found = find();
  // A session that failed may have been left in the middle of a search.
  if (!found && found.error().code == ErrorCode::kHsm) lease.spoil(found.error().native);
  return found;
}

Status Pkcs11Token::check_key_absent(const KeyName& name) {
  FUGO_ASSIGN(const auto lock, lock_within(admin_mutex_));
  FUGO_ASSIGN(auto lease, pool_.acquire());
  auto absent = lease.session().check_logged_in();
  if (absent) absent = check_absent(lease.functions(), lease.handle(), name);
  if (!absent && absent.error().code == ErrorCode::kHsm) lease.spoil(absent.error().native);
  return absent;
}

std::vector<Error> Pkcs11Token::verify_keys(std::span<const ExpectedKey> keys) {
  std::vector<Error> faults;
  for (const ExpectedKey& key : keys) {
    Status checked;
    if (key.may_be_absent && with_recovery([&] { return check_key_absent(key.name); })) continue;
    if (placement_of(key.name, settings_.role).present) {
      if (auto found = find_key(key.name, key.fingerprint); !found)
        checked = tl::unexpected<Error>(std::move(found).error());
    } else {
      checked = with_recovery([&] { return check_key_absent(key.name); });
    }
    if (!checked) faults.push_back(std::move(checked).error());
  }
  return faults;
}

std::string Pkcs11Token::description() const {
  const std::shared_lock lock(keys_mutex_);
  return describe(info_);
}

Health Pkcs11Token::health() const {
  Health health;
  module_->meter().add_to(health);
  recovery_.add_to(health);
  health.wrong_answers = wrong_answers_.load(std::memory_order_relaxed);
  health.sessions_dropped = pool_.dropped();
  health.reinitialisations = module_->epoch();
  return health;
}

Result<Pkcs11Token::Entry> Pkcs11Token::entry_of(const Key& key) const {
  const std::shared_lock lock(keys_mutex_);
  if (key.slot >= keys_.size() || keys_[key.slot].name != key.name)
    return fail(ErrorCode::kInternal, "a key that this token did not find", key_label(key.name));
  return keys_[key.slot];
}

}  // namespace fugo::hsm
