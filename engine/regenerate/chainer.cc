#include "engine/regenerate/chainer.h"

#include <algorithm>
#include <mutex>

#include "base/parallel.h"
#include "engine/issue/people_finder.h"

namespace fugo::engine {
namespace {

using keystore::PersonId;
using keystore::PersonRecord;

constexpr std::size_t kPiece = std::size_t{1} << 20U;  // people of one commit: one person file
constexpr std::size_t kGrain = std::size_t{1} << 16U;  // of one thread's work

tl::unexpected<Error> shared_symbol() {
  return fail(ErrorCode::kRefused, "two people would share a linkage symbol under the new key",
              "regeneration", "abort the run, and plan it again with a key of its own");
}

}  // namespace

Result<std::unique_ptr<Chainer>> Chainer::create(Site& site, keystore::Staging& staging,
                                                 const keystore::GenerationRow& to) {
  std::unique_ptr<Chainer> chainer(new Chainer(site, staging, to));
  FUGO_ASSIGN(chainer->people_, SecretArray<PersonRecord>::create(kPiece));
  FUGO_ASSIGN(chainer->symbols_, SecretArray<Block>::create(kPiece));
  FUGO_ASSIGN(chainer->checks_, SecretArray<keystore::CheckValue>::create(kPiece));
  return chainer;
}

Status Chainer::run(keystore::RunRow& run, const RunProgress& progress) {
  rebaser_ = nullptr;
  return work_until(run, keystore::kNoPerson, progress);
}

Status Chainer::rebase(keystore::RunRow& run, const Rebaser& rebaser, const RunProgress& progress) {
  rebaser_ = &rebaser;
  Status done = work_until(run, rebaser.end(), progress);
  rebaser_ = nullptr;
  return done;
}

Status Chainer::work_until(keystore::RunRow& run, PersonId end, const RunProgress& progress) {
  for (;;) {
    FUGO_ASSIGN(const auto state, site_.ledger().state());
    FUGO_ASSIGN(const auto snapshot, site_.ledger().snapshot());
    const PersonId people = state.next_person;  // the snapshot may be newer, never older
    if (progress) FUGO_TRY(progress(run.people_done, people));
    const PersonId last = std::min(people, end);
    if (run.people_done >= last) return {};
    const auto count = std::min<std::size_t>(kPiece, last - run.people_done);
    keystore::RunRow after = run;
    after.people_done += static_cast<PersonId>(count);
    const Status made = make_piece(*snapshot, after, state.deleted_people, count);
    if (!made && made.error().code == ErrorCode::kStale) continue;  // somebody was deleted
    FUGO_TRY(made);
    run.people_done = after.people_done;
    run.people_made += alive_.size();
    run.people_rebased += rebased_;
  }
}

Status Chainer::make_piece(const keystore::Snapshot& snapshot, keystore::RunRow run,
                           PersonId deleted_people, std::size_t count) {
  const auto first = static_cast<PersonId>(run.people_done - count);
  FUGO_TRY(parallel_ranges(count, kGrain, hardware_threads(),
                           [&](std::size_t from, std::size_t to, std::size_t) -> Status {
                             return snapshot.read_people_range(
                                 to_.chained_from, first + static_cast<PersonId>(from),
                                 people_.span().subspan(from, to - from));
                           }));
  FUGO_TRY(chain(count));
  start_afresh(first);
  FUGO_TRY(make_index(snapshot, first));
  run.people_made += alive_.size();
  run.people_rebased += rebased_;
  return staging_.add_people(
      {run, to_.linkage_generation, first, people_.span().first(count), index_, deleted_people});
}

// Puts the new symbols into the piece's records. Tombstones stay as they are.
Status Chainer::chain(std::size_t count) {
  alive_.clear();
  for (std::uint32_t i = 0; i < count; ++i) {
    if (people_[i].state == keystore::PersonState::kDeleted) continue;
    symbols_[alive_.size()] = people_[i].linkage_symbol;
    checks_[alive_.size()] = people_[i].check_value;
    alive_.push_back(i);
  }
  FUGO_TRY(site_.symbols().chain(to_, symbols_.span().first(alive_.size()),
                                 checks_.span().first(alive_.size())));
  for (std::size_t i = 0; i < alive_.size(); ++i) {
    PersonRecord& person = people_[alive_[i]];
    person.linkage_symbol = symbols_[i];
    person.check_value = checks_[i];
    person.method = to_.linkage_method;
  }
  return {};
}

// Those whom the rebaser knows get what their code makes, in place of the chain.
void Chainer::start_afresh(PersonId first) {
  rebased_ = 0;
  if (rebaser_ == nullptr) return;
  for (std::size_t i = 0; i < alive_.size(); ++i) {
    if (!rebaser_->find(first + alive_[i], symbols_[i], checks_[i])) continue;
    PersonRecord& person = people_[alive_[i]];
    person.linkage_symbol = symbols_[i];
    person.check_value = checks_[i];
    person.counter = 0;
    person.start = to_.linkage_generation;
    ++rebased_;
  }
}

Status Chainer::make_index(const keystore::Snapshot& snapshot, PersonId first) {
  const std::size_t count = alive_.size();
  digests_.resize(count);
  FUGO_TRY(parallel_ranges(count, kGrain, hardware_threads(),
                           [&](std::size_t from, std::size_t to, std::size_t) -> Status {
                             return site_.ledger().keys()->symbol_digests(
                                 symbols_.span().subspan(from, to - from),
                                 std::span(digests_).subspan(from, to - from));
                           }));
  sorted_.resize(count);
  for (std::size_t i = 0; i < count; ++i) sorted_[i] = {digests_[i], static_cast<std::uint32_t>(i)};
  sort_by_key(sorted_, scratch_);
  index_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t row = sorted_[i].row;
    index_[i] = {sorted_[i].key, first + alive_[row], keystore::symbol_tag(checks_[row])};
  }
  return check_shared(snapshot, first);
}

// Nobody in the piece may have the new symbol of another, in the piece or before it.
Status Chainer::check_shared(const keystore::Snapshot& snapshot, PersonId first) {
  for (std::size_t i = 1; i < sorted_.size(); ++i)
    for (std::size_t j = i; j > 0 && sorted_[j - 1].key == sorted_[i].key; --j)
      if (same_secret(symbols_[sorted_[j - 1].row], symbols_[sorted_[i].row]))
        return shared_symbol();
  if (first == 0) return {};
  return parallel_ranges(
      sorted_.size(), kGrain, hardware_threads(),
      [&](std::size_t from, std::size_t to, std::size_t) -> Status {
        std::vector<std::uint64_t> queries;
        queries.reserve(to - from);
        for (std::size_t i = from; i < to; ++i) queries.push_back(sorted_[i].key);
        std::vector<keystore::IndexHit> hits;
        FUGO_TRY(snapshot.find_people(to_.linkage_generation, queries, hits));
        for (const auto& hit : hits) {
          if (hit.id >= first) continue;  // of a piece that was given up before its commit: none
          FUGO_ASSIGN(auto other, SecretArray<PersonRecord>::create(1));
          FUGO_TRY(snapshot.read_people(to_.linkage_generation, {&hit.id, 1}, other.span()));
          if (same_secret(other[0].linkage_symbol, symbols_[sorted_[from + hit.query].row]))
            return shared_symbol();
        }
        return {};
      });
}

}  // namespace fugo::engine
