#include "engine/issue/code_look.h"

namespace fugo::engine {

Result<CodeLook> CodeLook::create(Site& site, std::size_t max_codes) {
  CodeLook look(site);
  FUGO_ASSIGN(look.columns_, PeopleColumns::create(max_codes));
  return look;
}

Result<std::span<const CodeState>> CodeLook::look(std::span<const std::uint64_t> codes) {
  FUGO_ASSIGN(const auto snapshot, site_->ledger().snapshot());
  PeopleFinder finder(site_->symbols(), *site_->ledger().keys(), *snapshot, site_->starts(),
                      columns_);
  FUGO_TRY(finder.run(codes));
  states_.clear();
  for (const keystore::PersonId id : std::span(columns_.ids).first(codes.size()))
    states_.push_back(id == keystore::kNoPerson ? CodeState::kNobody
                      : snapshot->state_of(id) == keystore::PersonState::kActive
                          ? CodeState::kActive
                          : CodeState::kSuperseded);
  return std::span<const CodeState>(states_);
}

}  // namespace fugo::engine
