#include "tests/daemon/link/storm_model.h"

namespace fugo::test {

using engine::LinkStatus;

namespace {

// Whether a call between two steps of freezing may have met it frozen, or not frozen.
bool may_be_frozen(std::uint32_t before, std::uint32_t after) {
  return before != after || before % 4 != 0;
}
bool may_be_thawed(std::uint32_t before, std::uint32_t after) {
  return before != after || before % 4 != 2;
}

}  // namespace

StormModel::Moment StormModel::now(std::size_t resident, std::size_t to) const {
  const Person& person = people_[resident];
  return {person.life.load(), person.issued[to].load(), person.erased.load(), freezes_.load()};
}

std::string StormModel::wrong(std::size_t resident, std::size_t to, const Moment& before,
                              LinkStatus status, const Block& linked) const {
  const Moment after = now(resident, to);
  const Person& person = people_[resident];
  const std::string what =
      std::string(engine::link_status_name(status)) + " (life " + std::to_string(before.life) +
      " to " + std::to_string(after.life) + ", issued " + std::to_string(before.to) + " to " +
      std::to_string(after.to) + ", freezes " + std::to_string(before.freezes) + " to " +
      std::to_string(after.freezes) + ")";
  const auto unless = [&](bool may) { return may ? std::string() : what; };
  if (status == LinkStatus::kFrozen) return unless(may_be_frozen(before.freezes, after.freezes));
  if (!may_be_thawed(before.freezes, after.freezes)) return what;
  if (status == LinkStatus::kSuperseded)
    return unless(after.life != kAlive && person.by_change && before.erased != 2);
  if (status == LinkStatus::kUnknown)
    return unless(after.life != kAlive && (!person.by_change || after.erased != 0));
  if (before.life == kGone) return what;
  if (status == LinkStatus::kNotIssued) return unless(before.to != kIssued);
  if (status != LinkStatus::kOk || after.to == kNone) return what;
  if (after.to == kIssued && linked != person.symbols[to]) return what + ", a wrong symbol";
  return {};
}

std::string StormModel::wrong_of_nobody(const Moment& before, const Moment& after,
                                        LinkStatus status) {
  if (status == LinkStatus::kUnknown && may_be_thawed(before.freezes, after.freezes)) return {};
  if (status == LinkStatus::kFrozen && may_be_frozen(before.freezes, after.freezes)) return {};
  return "nobody's symbol is " + std::string(engine::link_status_name(status));
}

void StormModel::begin_issue(std::size_t resident, std::size_t agency) {
  people_[resident].issued[agency].store(kIssuing);
}

void StormModel::end_issue(std::size_t resident, std::size_t agency, const Block& symbol) {
  people_[resident].symbols[agency] = symbol;
  people_[resident].issued[agency].store(kIssued);
}

void StormModel::begin_leaving(std::size_t resident, bool by_change) {
  people_[resident].by_change.store(by_change);
  people_[resident].life.store(kLeaving);
}

void StormModel::end_leaving(std::size_t resident) { people_[resident].life.store(kGone); }

}  // namespace fugo::test
