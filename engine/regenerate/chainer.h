// Chainer: makes a new generation's linkage symbols from those of the generation before.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "engine/issue/sorting.h"
#include "engine/regenerate/rebaser.h"
#include "engine/site.h"
#include "keystore/staging.h"

namespace fugo::engine {

// RunProgress is told how many of `total` items are done; its error ends the work, and what was
// committed stays.
using RunProgress = std::function<Status(std::uint64_t done, std::uint64_t total)>;

// Chainer works through the people in the order of their ids, a piece at a time:
//   L' = F(K'_link, "chain", L), V' = first 8 bytes of F(K'_link, "chain check", V padded),
// and commits each piece with the run's row. One object a run; not thread-safe, but it spreads its
// work over the machine's cores. Memory: one piece.
class Chainer {
 public:
  // `to` has linkage symbols of its own, chained from those of `to.chained_from`.
  [[nodiscard]] static Result<std::unique_ptr<Chainer>> create(Site& site,
                                                               keystore::Staging& staging,
                                                               const keystore::GenerationRow& to);

  // run goes on from run.people_done to the ledger's last person, and moves the row on with each
  // commit. kRefused when two people would share a linkage symbol.
  [[nodiscard]] Status run(keystore::RunRow& run, const RunProgress& progress);

  // rebase does it with a rebaser's people, up to the end of its range: whoever it knows starts
  // afresh.
  [[nodiscard]] Status rebase(keystore::RunRow& run, const Rebaser& rebaser,
                              const RunProgress& progress);

 private:
  Chainer(Site& site, keystore::Staging& staging, const keystore::GenerationRow& to)
      : site_(site), staging_(staging), to_(to) {}
  [[nodiscard]] Status work_until(keystore::RunRow& run, keystore::PersonId end,
                                  const RunProgress& progress);
  void start_afresh(keystore::PersonId first);
  [[nodiscard]] Status make_piece(const keystore::Snapshot& snapshot, keystore::RunRow run,
                                  keystore::PersonId deleted_people, std::size_t count);
  [[nodiscard]] Status chain(std::size_t count);
  [[nodiscard]] Status make_index(const keystore::Snapshot& snapshot, keystore::PersonId first);
  [[nodiscard]] Status check_shared(const keystore::Snapshot& snapshot, keystore::PersonId first);

  Site& site_;
  keystore::Staging& staging_;
  const keystore::GenerationRow to_;
  const Rebaser* rebaser_ = nullptr;  // of the call
  std::uint64_t rebased_ = 0;         // in the piece
  SecretArray<keystore::PersonRecord> people_;
  // Of those in the piece who are not deleted: their position, and what is chained.
  std::vector<std::uint32_t> alive_;
  SecretArray<Block> symbols_;
  SecretArray<keystore::CheckValue> checks_;
  std::vector<std::uint64_t> digests_;
  std::vector<KeyedRow> sorted_, scratch_;
  std::vector<keystore::IndexEntry> index_;
};

}  // namespace fugo::engine
