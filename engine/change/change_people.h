// Who the rows of a change segment are about, and what becomes of each row.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "engine/change/segment_changer.h"
#include "engine/issue/people_finder.h"
#include "engine/site.h"

namespace fugo::engine {

// Move is one row that was carried out: `from` is superseded by `to`.
struct Move {
  std::uint32_t row = 0;
  keystore::PersonId from = keystore::kNoPerson;
  keystore::PersonId to = keystore::kNoPerson;
  bool joined = false;        // `to` was there before
  std::uint16_t counter = 0;  // of `to`'s linkage symbol
  std::uint64_t digest = 0;   // index digest of it
};

// ChangePeople derives both codes of each row and decides. Kept and used again for each segment.
// Not thread-safe.
//
// Old people are found before new ones are derived, and only for the rows that can be carried out:
// the finder claims a symbol for everybody whom it does not find, and only those whom this segment
// really makes may take one from somebody else.
class ChangePeople {
 public:
  [[nodiscard]] static Result<ChangePeople> create(Site& site, std::size_t max_rows);

  // judge decides by the ledger as it is now.
  [[nodiscard]] Status judge(const ChangeRows& rows, const keystore::Snapshot& snapshot, bool join);
  // give_ids gives ids from `first_new` on to the people whom judge found to be new.
  void give_ids(keystore::PersonId first_new);
  // recall tells what was decided in a committed segment. kRefused when people of it are gone.
  [[nodiscard]] Status recall(const ChangeRows& rows, const keystore::Snapshot& snapshot,
                              const keystore::SegmentRow& segment);

  // recall_moves tells who was moved in a committed segment, without its rows: the results are
  // those of the moves.
  [[nodiscard]] Status recall_moves(const keystore::Snapshot& snapshot,
                                    keystore::SegmentNumber segment);

  // take_linkage_of makes old_symbols and new_symbols those of another generation, after recall.
  [[nodiscard]] Status take_linkage_of(const keystore::Snapshot& snapshot,
                                       const keystore::GenerationRow& generation);

  [[nodiscard]] std::span<const ChangeResult> results() const { return results_; }
  [[nodiscard]] std::span<const Move> moves() const { return moves_; }
  // Beside the moves:
  [[nodiscard]] std::span<keystore::PersonRecord> old_records() { return records_.span(); }
  [[nodiscard]] std::span<const Block> old_symbols() const { return old_symbols_.span(); }
  [[nodiscard]] std::span<const Block> new_symbols() const { return new_symbols_.span(); }
  [[nodiscard]] std::span<const keystore::CheckValue> new_checks() const {
    return new_checks_.span();
  }

 private:
  explicit ChangePeople(Site& site) : site_(&site) {}
  [[nodiscard]] Status find_old(const ChangeRows& rows, const keystore::Snapshot& snapshot);
  [[nodiscard]] Status find_new(const ChangeRows& rows, const keystore::Snapshot& snapshot);
  [[nodiscard]] Status recall_old(const keystore::Snapshot& snapshot,
                                  keystore::SegmentNumber segment);
  [[nodiscard]] Status recall_new(const keystore::Snapshot& snapshot,
                                  keystore::SegmentNumber segment);
  void add_move(std::uint32_t candidate, bool joined);
  [[nodiscard]] Status collect(const keystore::Snapshot& snapshot);
  [[nodiscard]] Result<SecretArray<keystore::PersonRecord>> records_of(
      const keystore::Snapshot& snapshot, std::span<const keystore::PersonId> ids) const;
  [[nodiscard]] static Result<SecretArray<keystore::PersonRecord>> records_of(
      const keystore::Snapshot& snapshot, keystore::Generation linkage_generation,
      std::span<const keystore::PersonId> ids);

  Site* site_;
  PeopleColumns old_, new_;                     // by row, by candidate
  std::vector<std::uint32_t> candidates_;       // rows whose old person is active, or was then
  std::vector<bool> moved_;                     // recall: beside the candidates
  std::vector<std::uint32_t> move_candidates_;  // beside the moves
  std::vector<ChangeResult> results_;
  std::vector<Move> moves_;
  SecretArray<keystore::PersonRecord> records_;
  SecretArray<Block> old_symbols_, new_symbols_;
  SecretArray<keystore::CheckValue> new_checks_;
};

}  // namespace fugo::engine
