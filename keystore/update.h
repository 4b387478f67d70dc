// Update over an LMDB write transaction: the rules of the registries, of jobs and of the journal.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "keystore/journal_copier.h"
#include "keystore/ledger.h"
#include "keystore/tables.h"

namespace fugo::keystore {

// SmallRowUpdate is the Update that Ledger::begin gives; commit_segment and merges work through it
// too, with the functions that are not in Update.
class SmallRowUpdate final : public Update {
 public:
  // begin waits for other writers and reads the state.
  [[nodiscard]] static Result<std::unique_ptr<SmallRowUpdate>> begin(
      std::shared_ptr<Environment> environment, std::shared_ptr<const Sealer> sealer);
  // begin_empty is for Ledger::create: writes the header's row, and starts with a fresh state.
  [[nodiscard]] static Result<std::unique_ptr<SmallRowUpdate>> begin_empty(
      std::shared_ptr<Environment> environment, std::shared_ptr<const Sealer> sealer,
      ByteView header);

  LedgerState& state() override { return state_; }
  Status put_agency(const Agency& agency) override;
  Status put_key(const KeyRow& key) override;
  Status put_generation(const GenerationRow& row) override;
  Result<JobNumber> put_job(const JobRow& job) override;
  Result<JobNumber> put_progress(const JobRow& job) override;
  Result<RunRow> put_run(const RunRow& run) override;
  Status put_run_agency(const RunAgencyRow& row) override { return writer_.put(row); }
  Result<std::vector<FileRow>> erase_files(Generation generation) override;
  Status add_stats(std::span<const StatRow> rows) override;
  Status append_journal(const Actor& actor, const std::string& act,
                        const std::string& details_json) override;
  // commit is once; a second one does nothing.
  Status commit() override;

  // append_entry gives time, sequence, previous and hash; the rest is the caller's. kRefused when
  // the clock ran backwards.
  [[nodiscard]] Status append_entry(JournalEntry entry);
  [[nodiscard]] Status put_segment(const SegmentRow& row) { return writer_.put(row); }
  [[nodiscard]] Status put_file(const FileRow& row) { return writer_.put(row); }
  // count_added and count_erased keep up the open run's tally: see RunTally.
  [[nodiscard]] Status count_added(std::uint64_t people, std::span<const IssuedEntry> issued);
  [[nodiscard]] Status count_erased(std::uint64_t people, std::span<const IssuedEntry> issued);
  // add_starters changes how many people start from a generation.
  [[nodiscard]] Status add_starters(Generation generation, std::int64_t people);
  // erase_file removes a manifest row; kStale when it is not there just so any more.
  [[nodiscard]] Status erase_file(const FileRow& row);
  // check_manifest: kStale when the manifest is not exactly `rows`, in order of their numbers.
  [[nodiscard]] Status check_manifest(const std::vector<FileRow>& rows) const;
  // reseal puts `files` in the place of the manifest, seals every row anew by `sealer`, and makes
  // `header` the header's row: the last thing before the commit.
  [[nodiscard]] Status reseal(std::shared_ptr<const Sealer> sealer, ByteView header,
                              std::span<const FileRow> files);
  // put_patch: kInternal when the person has one already. A superseded person never becomes
  // another's predecessor again.
  [[nodiscard]] Status put_patch(const PersonPatch& row);
  // erase_patches removes every patch of a person.
  [[nodiscard]] Status erase_patches(PersonId id);

 private:
  SmallRowUpdate(std::unique_ptr<WriteTransaction> transaction,
                 std::shared_ptr<const Sealer> sealer)
      : transaction_(std::move(transaction)),
        sealer_(std::move(sealer)),
        writer_(*transaction_, *sealer_, state_) {}
  [[nodiscard]] Status load_agencies();
  // keep_tally puts the stored row's tally into one that is to take its place.
  [[nodiscard]] Status keep_tally(RunRow& row) const;
  // prepare_copies: null where the journal has no copies, or gets no entry.
  [[nodiscard]] Result<std::unique_ptr<JournalCopier::Ready>> prepare_copies() const;
  // open_run is the row of the unfinished run; nothing when there is none.
  [[nodiscard]] Result<std::optional<RunRow>> open_run() const;

  std::unique_ptr<WriteTransaction> transaction_;
  std::shared_ptr<const Sealer> sealer_;
  LedgerState state_;
  RowWriter writer_;
  bool committed_ = false;
  std::shared_ptr<JournalCopier> copier_;
  std::array<std::uint8_t, 32> head_before_{};  // of the journal, without
  std::vector<JournalEntry> added_;             // these, which are kept where there is a copier
  // Every agency, read at the first put_agency: importing thousands compares each with all.
  bool agencies_loaded_ = false;
  std::map<AgencyNumber, Agency> agencies_;
  std::map<std::string, AgencyNumber> codes_;
  std::map<Block, AgencyNumber> parameters_;
};

}  // namespace fugo::keystore
