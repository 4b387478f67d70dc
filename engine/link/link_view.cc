#include "engine/link/link_view.h"

namespace fugo::engine {

Result<std::shared_ptr<const LinkView>> ViewKeeper::current(Patience& patience) {
  const std::uint64_t wanted = last_transaction();
  auto view = last();
  if (view && view->transaction == wanted) return view;
  const auto reading = patience.wait([&](auto left) { return std::unique_lock(reading_, left); });
  if (!reading) return fail(ErrorCode::kIo, "the ledger's newest commit is still being read");
  view = last();
  if (view && view->transaction >= wanted) return view;  // somebody has just read it
  FUGO_ASSIGN(auto fresh, read_or_reopen(view.get()));
  const std::lock_guard lock(mutex_);
  view_ = std::move(fresh);
  return view_;
}

// Views that are in use keep snapshot and keys of the ledger as it was.
Result<std::shared_ptr<const LinkView>> ViewKeeper::read_or_reopen(const LinkView* previous) {
  auto fresh = read(previous);
  if (fresh || fresh.error().code != ErrorCode::kStale) return fresh;
  FUGO_TRY(site_.reopen_ledger());
  {
    const std::lock_guard lock(mutex_);
    ledger_ = site_.shared_ledger();
  }
  return read(nullptr);
}

Result<std::shared_ptr<const LinkView>> ViewKeeper::read(const LinkView* previous) const {
  constexpr int kTries = 10;
  const auto ledger = this->ledger();
  for (int attempt = 1; attempt <= kTries; ++attempt) {
    auto view = std::make_shared<LinkView>();
    view->keys = ledger->keys();
    view->transaction = ledger->last_transaction();  // first: what comes later is newer
    FUGO_ASSIGN(const auto state, ledger->state());
    view->last_segment = state.next_segment - 1;
    view->frozen = !state.freeze_link.empty();
    if (previous != nullptr && previous->registry->version == state.registry_version) {
      view->registry = previous->registry;
    } else {
      FUGO_ASSIGN(view->registry, read_registry(state.registry_version));
    }
    FUGO_ASSIGN(view->snapshot, ledger->snapshot());
    // The files of a generation go in the transaction that retires it.
    FUGO_ASSIGN(const auto after, ledger->state());
    if (after.registry_version == state.registry_version) return view;
  }
  return fail(ErrorCode::kIo, "the registry changed again and again while it was read");
}

Result<std::shared_ptr<const Registry>> ViewKeeper::read_registry(std::uint64_t version) const {
  const auto ledger = this->ledger();
  auto registry = std::make_shared<Registry>();
  registry->version = version;
  FUGO_ASSIGN(registry->agencies, ledger->agencies());
  for (const auto& agency : registry->agencies) {
    if (agency.state == keystore::AgencyState::kClosed) continue;
    registry->numbers.emplace(agency.code, agency.number);
    if (registry->by_number.size() <= agency.number)
      registry->by_number.resize(agency.number + std::size_t{1});
    registry->by_number[agency.number] = &agency;
  }
  FUGO_ASSIGN(const auto generations, ledger->generations());
  FUGO_ASSIGN(const auto runs, ledger->runs());
  FUGO_ASSIGN(registry->generations, accepted_of(generations, runs));
  FUGO_ASSIGN(const auto keys, ledger->key_rows());
  FUGO_ASSIGN(registry->symbols, Symbols::open(token_, keys, generations, registry->agencies));
  return registry;
}

}  // namespace fugo::engine
