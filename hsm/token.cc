#include "hsm/token.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/parallel.h"
#include "hsm/pkcs11_token.h"

namespace fugo::hsm {

Result<std::shared_ptr<Token>> Token::open(const TokenSettings& settings) {
  const std::size_t bytes = settings.max_bytes_per_call;
  if (bytes < 2 * sizeof(Block) || bytes % sizeof(Block) != 0)
    return fail(ErrorCode::kUsage, fmt::format("{} is no multiple of 16 of at least 32", bytes),
                "hsm.max_bytes_per_call");
  FUGO_ASSIGN(auto module, Module::open(settings.module, settings.softhsm_conf));
  FUGO_ASSIGN(const auto found, find_token(*module, settings.uri));
  auto token = std::make_shared<Pkcs11Token>(settings, std::move(module), found);
  FUGO_TRY(token->start());
  return token;
}

Pkcs11Token::Pkcs11Token(const TokenSettings& settings, std::shared_ptr<Module> module,
                         const FoundToken& found)
    : settings_(settings),
      module_(std::move(module)),
      slot_(found.slot),
      info_(found.info),
      blocks_per_call_(settings.max_bytes_per_call / sizeof(Block)),
      threads_(settings.threads == 0 ? hardware_threads() : settings.threads),
      pool_(module_, slot_) {}

Pkcs11Token::~Pkcs11Token() {
  pool_.clear();
  sentinel_.close();
}

Status Pkcs11Token::start() {
  const std::lock_guard lock(admin_mutex_);
  FUGO_ASSIGN(auto pin, Pin::read(settings_.pin_file));
  FUGO_ASSIGN(auto session, Session::open(module_, slot_, Session::Access::kReadOnly));
  FUGO_TRY(session.login(CKU_USER, pin));
  sentinel_ = std::move(session);
  return {};
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
  return Key{name, slot};
}

Result<Pkcs11Token::Entry> Pkcs11Token::look_up(const KeyName& name,
                                                const std::optional<Block>& fingerprint) {
  const KeyPlacement placement = placement_of(name, settings_.role);
  if (!is_valid(name) || !placement.present)
    return fail(ErrorCode::kRefused,
                fmt::format("key {} does not belong in a token of this role", key_label(name)));
  Entry entry{name, placement.uses, CK_INVALID_HANDLE, {}};
  {
    const std::lock_guard lock(admin_mutex_);
    FUGO_ASSIGN(auto lease, pool_.acquire());
    // A finding session that failed may have been left in the middle of a search.
    auto found = find_one_key(lease.functions(), lease.handle(), name);
    if (!found && found.error().code == ErrorCode::kHsm) lease.spoil();
    FUGO_ASSIGN(entry.handle, std::move(found));
    FUGO_TRY(check_attributes(lease.functions(), lease.handle(), entry.handle, name, entry.uses));
  }
  FUGO_ASSIGN(entry.fingerprint, evaluate_fingerprint(entry));
  if (fingerprint && !equal_in_constant_time(entry.fingerprint.bytes, fingerprint->bytes))
    return fail(ErrorCode::kRefused,
                fmt::format("key {}: the fingerprint is not the registered one", key_label(name)),
                {}, "this is another key under the same name; do not use this token");
  return entry;
}

std::vector<Error> Pkcs11Token::verify_keys(std::span<const ExpectedKey> keys) {
  std::vector<Error> faults;
  for (const ExpectedKey& key : keys) {
    Status checked;
    if (placement_of(key.name, settings_.role).present) {
      if (auto found = find_key(key.name, key.fingerprint); !found)
        checked = tl::unexpected<Error>(std::move(found).error());
    } else {
      checked = with_recovery([&]() -> Status {
        const std::lock_guard lock(admin_mutex_);
        FUGO_ASSIGN(auto lease, pool_.acquire());
        auto absent = check_absent(lease.functions(), lease.handle(), key.name);
        if (!absent && absent.error().code == ErrorCode::kHsm) lease.spoil();
        return absent;
      });
    }
    if (!checked) faults.push_back(std::move(checked).error());
  }
  return faults;
}

Result<Block> Pkcs11Token::fingerprint_of(const Key& key) {
  return with_recovery([&]() -> Result<Block> {
    FUGO_ASSIGN(const auto entry, entry_of(key));
    return evaluate_fingerprint(entry);
  });
}

Health Pkcs11Token::health() const {
  Health health;
  module_->meter().add_to(health);
  return health;
}

Result<Pkcs11Token::Entry> Pkcs11Token::entry_of(const Key& key) const {
  const std::shared_lock lock(keys_mutex_);
  if (key.slot >= keys_.size() || keys_[key.slot].name != key.name)
    return fail(ErrorCode::kInternal, "a key that this token did not find", key_label(key.name));
  return keys_[key.slot];
}

Status Pkcs11Token::recover(std::uint64_t generation) {
  // Held until every handle is fresh: a thread that waits here goes on with those.
  const std::lock_guard recovery_lock(recovery_mutex_);
  if (generation_.load() != generation) return {};
  {
    const std::lock_guard lock(admin_mutex_);
    FUGO_ASSIGN(auto pin, Pin::read(settings_.pin_file));
    pool_.clear();
    FUGO_ASSIGN(auto session, Session::open(module_, slot_, Session::Access::kReadOnly));
    FUGO_TRY(session.login(CKU_USER, pin));
    sentinel_ = std::move(session);
  }
  std::vector<Entry> known;
  {
    const std::shared_lock lock(keys_mutex_);
    known = keys_;
  }
  for (const Entry& entry : known) {
    FUGO_ASSIGN(const auto fresh, look_up(entry.name, entry.fingerprint));
    const std::unique_lock lock(keys_mutex_);
    for (Entry& place : keys_)
      if (place.name == fresh.name) place = fresh;
  }
  generation_.fetch_add(1);
  return {};
}

}  // namespace fugo::hsm
