#include "engine/link/link_view.h"

#include <algorithm>

namespace fugo::engine {

Result<std::shared_ptr<const LinkView>> ViewKeeper::current() {
  const auto newest = [this] {
    const std::lock_guard lock(mutex_);
    return view_;
  };
  const std::uint64_t wanted = ledger_.last_transaction();
  auto view = newest();
  if (view && view->transaction == wanted) return view;
  const std::unique_lock reading(reading_, patience_);
  if (!reading) return fail(ErrorCode::kIo, "the ledger's newest commit is still being read");
  view = newest();
  if (view && view->transaction >= wanted) return view;  // somebody has just read it
  FUGO_ASSIGN(auto fresh, read(view.get()));
  const std::lock_guard lock(mutex_);
  view_ = std::move(fresh);
  return view_;
}

Result<std::shared_ptr<const LinkView>> ViewKeeper::read(const LinkView* previous) const {
  auto view = std::make_shared<LinkView>();
  view->transaction = ledger_.last_transaction();  // first: what comes later is newer
  FUGO_ASSIGN(const auto state, ledger_.state());
  view->last_segment = state.next_segment - 1;
  view->frozen = !state.freeze_link.empty();
  if (previous != nullptr && previous->registry->version == state.registry_version) {
    view->registry = previous->registry;
  } else {
    FUGO_ASSIGN(view->registry, read_registry(state.registry_version));
  }
  FUGO_ASSIGN(view->snapshot, ledger_.snapshot());
  return view;
}

Result<std::shared_ptr<const Registry>> ViewKeeper::read_registry(std::uint64_t version) const {
  auto registry = std::make_shared<Registry>();
  registry->version = version;
  FUGO_ASSIGN(registry->agencies, ledger_.agencies());
  for (const auto& agency : registry->agencies) {
    if (agency.state == keystore::AgencyState::kClosed) continue;
    registry->numbers.emplace(agency.code, agency.number);
    if (registry->by_number.size() <= agency.number)
      registry->by_number.resize(agency.number + std::size_t{1});
    registry->by_number[agency.number] = &agency;
  }
  FUGO_ASSIGN(const auto generations, ledger_.generations());
  for (const auto& row : generations)
    if (row.state == keystore::GenerationState::kActive ||
        row.state == keystore::GenerationState::kAccepting)
      registry->generations.push_back(row);
  std::stable_sort(registry->generations.begin(), registry->generations.end(),
                   [](const auto& a, const auto& b) { return a.state < b.state; });
  if (registry->generations.empty() ||
      registry->active().state != keystore::GenerationState::kActive)
    return fail(ErrorCode::kDamaged, "no generation is active", "ledger, table generations",
                "restore the ledger from a backup");
  FUGO_ASSIGN(const auto keys, ledger_.key_rows());
  FUGO_ASSIGN(registry->symbols, Symbols::open(token_, keys, generations, registry->agencies));
  return registry;
}

}  // namespace fugo::engine
