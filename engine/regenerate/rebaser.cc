#include "engine/regenerate/rebaser.h"

namespace fugo::engine {

Result<std::unique_ptr<Rebaser>> Rebaser::create(Site& site, const keystore::GenerationRow& to,
                                                 keystore::PersonId first, std::size_t count,
                                                 std::size_t most_codes) {
  std::unique_ptr<Rebaser> rebaser(new Rebaser(site, to, first));
  FUGO_ASSIGN(auto look, CodeLook::create(site, most_codes));
  rebaser->look_ = std::make_unique<CodeLook>(std::move(look));
  FUGO_ASSIGN(rebaser->made_, SecretArray<Block>::create(most_codes));
  FUGO_ASSIGN(rebaser->checked_, SecretArray<keystore::CheckValue>::create(most_codes));
  FUGO_ASSIGN(rebaser->symbols_, SecretArray<Block>::create(count));
  FUGO_ASSIGN(rebaser->checks_, SecretArray<keystore::CheckValue>::create(count));
  rebaser->found_.assign(count, 0);
  return rebaser;
}

Status Rebaser::take(std::span<const std::uint64_t> codes) {
  FUGO_TRY(look_->look(codes).map([](auto&&) {}));
  const auto ids = look_->people();
  const auto made = made_.span().first(codes.size());
  const auto checks = checked_.span().first(codes.size());
  FUGO_TRY(site_.symbols().linkage_and_check(to_, codes, made, checks));
  for (std::size_t i = 0; i < codes.size(); ++i) {
    if (ids[i] == keystore::kNoPerson) ++unknown_;
    if (ids[i] < first_ || ids[i] >= end()) continue;
    const std::size_t at = ids[i] - first_;
    symbols_[at] = made[i];
    checks_[at] = checks[i];
    found_[at] = 1;
  }
  return {};
}

bool Rebaser::find(keystore::PersonId id, Block& symbol, keystore::CheckValue& check) const {
  if (id < first_ || id >= end() || found_[id - first_] == 0) return false;
  symbol = symbols_[id - first_];
  check = checks_[id - first_];
  return true;
}

}  // namespace fugo::engine
