// The ledger behind the interface. Private to keystore.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "base/file.h"
#include "keystore/bulk_erase.h"
#include "keystore/ledger.h"
#include "keystore/merger.h"
#include "keystore/tables.h"
#include "keystore/update.h"

namespace fugo::keystore {

// The names within a ledger's directory.
inline constexpr const char* kDataFile = "data.mdb";
inline constexpr const char* kLockFile = "lock.mdb";
inline constexpr const char* kWriterLock = "writer.lock";
inline constexpr const char* kRegenerationLock = "regeneration.lock";
inline constexpr const char* kBulkDirectory = "data";

// With more runs of one kind than this, committing waits for merging, since look-ups become slow;
// and fails when merging does.
inline constexpr std::size_t kMostRuns = 48;

// take_writer_lock locks writer.lock for as long as the descriptor is open; the system releases it
// when the process dies. kRefused, naming the holder's process, when somebody has it.
[[nodiscard]] Result<UniqueFd> take_writer_lock(const std::filesystem::path& directory);

// take_lock locks a file of the directory in this way; `busy` is what the refusal says.
[[nodiscard]] Result<UniqueFd> take_lock(const std::filesystem::path& directory, const char* name,
                                         const std::string& busy);

// StoredHeader is the header beside its row as stored.
struct StoredHeader {
  LedgerHeader header;
  std::vector<std::uint8_t> stored;
};
// load_header: see Ledger::read_header.
[[nodiscard]] Result<StoredHeader> load_header(const std::shared_ptr<Environment>& environment);

class LedgerImpl final : public Ledger {
 public:
  // Everything that is constant once the ledger is open.
  struct Parts {
    std::filesystem::path directory;
    Access access = Access::kRead;
    std::shared_ptr<const UniqueFd> writer_lock;  // shared with the ledger opened again
    std::shared_ptr<Environment> environment;
    LedgerHeader header;
    std::shared_ptr<const LedgerKeys> keys;
    std::shared_ptr<const Sealer> sealer;
    std::shared_ptr<const ContentDigest> content_digest;
    FileNumber next_file = 1;
  };
  explicit LedgerImpl(Parts parts);
  // open reads header and state; `parts` has directory, access, environment and lock.
  [[nodiscard]] static Result<std::unique_ptr<Ledger>> open(Parts parts,
                                                            const SecretBytes<32>& data_key);
  ~LedgerImpl() override = default;

  const LedgerHeader& header() const override { return parts_.header; }
  std::shared_ptr<const LedgerKeys> keys() const override { return parts_.keys; }
  std::shared_ptr<const ContentDigest> content_digest() const override {
    return parts_.content_digest;
  }
  std::uint64_t last_transaction() const override { return parts_.environment->last_transaction(); }
  Result<LedgerState> state() const override;
  Result<std::vector<Agency>> agencies() const override;
  Result<std::vector<KeyRow>> key_rows() const override;
  Result<std::vector<GenerationRow>> generations() const override;
  Result<std::vector<JobRow>> jobs() const override;
  Result<std::optional<JobRow>> find_job(const std::string& id) const override;
  Result<JobRow> job(JobNumber number) const override;
  Result<std::vector<SegmentRow>> segments() const override;
  Result<std::vector<RunRow>> runs() const override;
  Result<std::vector<RunAgencyRow>> run_agencies(RunNumber run) const override;
  Result<std::vector<StatRow>> stats() const override;
  Result<std::vector<JournalEntry>> journal(std::uint64_t first,
                                            std::uint64_t limit) const override;
  Result<std::shared_ptr<const Snapshot>> snapshot() const override;
  Result<LedgerUsage> usage() const override;

  Result<std::unique_ptr<Ledger>> open_again(const SecretBytes<32>& data_key) override;
  Result<std::unique_ptr<Update>> begin() override;
  Result<SegmentNumber> commit_segment(const SegmentData& data) override;
  Status commit_deletion(const DeletionData& data) override;
  Status finish_merges() override;
  Status remove_leftovers() override;
  std::optional<Error> merge_warning() const override { return merger_.warning(); }

  // For verify_tables.
  [[nodiscard]] const Parts& parts() const { return parts_; }
  // remove_orphans unlinks bulk files that the manifest does not name: nobody of this process may
  // be writing any, and the writer's lock must be held.
  [[nodiscard]] Status remove_orphans();

 private:
  template <typename Row>
  [[nodiscard]] Result<std::vector<Row>> table(Table number) const;
  [[nodiscard]] Status check_segment(const SegmentData& data, const LedgerState& state) const;
  [[nodiscard]] Status commit_rows(const SegmentData& data, const LedgerState& before,
                                   const std::vector<FileRow>& files);
  [[nodiscard]] Status add_content(const SegmentData& data, const std::vector<FileRow>& files,
                                   SmallRowUpdate& update) const;
  void merge_if_many();
  [[nodiscard]] Status merge_before_too_many();
  [[nodiscard]] Status check_deletion(const DeletionData& data, const LedgerState& state) const;
  // try_deletion is one attempt; kStale when a regeneration committed files meanwhile, unless
  // `update` was begun before, so that nobody could. Null: it begins one when the files are
  // written.
  [[nodiscard]] Status try_deletion(const DeletionData& data,
                                    std::unique_ptr<SmallRowUpdate> update, ErasedFiles& files);
  [[nodiscard]] Status commit_erased(const DeletionData& data, const std::vector<FileRow>& rows,
                                     std::unique_ptr<SmallRowUpdate> update,
                                     const ErasedFiles& files);
  [[nodiscard]] Status unlink_erased(const ErasedFiles& files);

  const Parts parts_;
  mutable BulkCatalogue catalogue_;
  std::mutex segment_mutex_;  // one segment at a time

  mutable std::mutex snapshot_mutex_;
  // Guarded by snapshot_mutex_.
  mutable std::shared_ptr<const Snapshot> snapshot_;
  mutable std::uint64_t snapshot_commits_ = 0;
  mutable std::shared_ptr<const PatchTable> patches_;
  mutable std::uint64_t patch_changes_ = 0;  // LedgerState's, of patches_

  Merger merger_;  // last: its thread uses the members above
};

}  // namespace fugo::keystore
