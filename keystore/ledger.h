// The issuance ledger (連携用符号発行管理ファイル): LMDB catalogue over sealed, immutable files.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "keystore/content_digest.h"
#include "keystore/ledger_keys.h"
#include "keystore/snapshot.h"
#include "keystore/types.h"
#include "keystore/usage.h"

namespace fugo::keystore {

// kSchemaVersion: a ledger that says another is refused, in both directions.
inline constexpr std::uint32_t kSchemaVersion = 3;

// LedgerHeader is the only row that is not sealed: what is needed to get the data key.
struct LedgerHeader {
  std::uint32_t schema = kSchemaVersion;
  Block ledger_id;
  std::string environment;  // "test" or "production"
  std::uint16_t wrap_key_version = 1;
  std::vector<std::uint8_t> wrapped_data_key;
  std::int64_t created = 0;
};

// Actor is who does something, for the journal.
struct Actor {
  std::string operator_name;
  std::string order;
  std::string role = {};     // as what; empty: not known
  std::string account = {};  // for which OS account
};

// journal_entry is an entry of what `actor` does, without time, number and hashes, which it gets
// when it is committed. `details` is a JSON object.
[[nodiscard]] JournalEntry journal_entry(const Actor& actor, std::string act, std::string details);

enum class Access : std::uint8_t {
  kRead,    // any number of processes; sees each commit of the writer at its next call
  kAppend,  // as kRead, and may commit updates of small rows (journal, registries) while no other
            // process does: an LMDB transaction each, no bulk data
  kWrite,   // one process: holds the writer's lock, removes files that no manifest names, merges
};

// SegmentData is everything that one segment of a job adds. Spans must live until the commit.
struct SegmentData {
  SegmentRow row;                        // number must be LedgerState::next_segment
  Generation linkage_generation = 1;     // of the job's generation: people start from it
  JobRow job;                            // with its progress after this segment
  std::span<const PersonRecord> people;  // ids follow on from LedgerState::next_person
  std::span<const IndexEntry> index;     // sorted
  std::span<const IssuedEntry> issued;   // sorted
  std::span<const PersonPatch> patches;  // people whom this segment supersedes, by id
  // To be added to the state's. A superseded person's element changes with the state: the caller
  // subtracts the old one from people_digest.
  DigestSum people_digest, issued_digest, times_digest;
  std::vector<StatRow> stats;  // to be added
  JournalEntry journal;        // sequence, previous and hash are given by the commit
};

// DeletionData is who goes for good. Spans must live until the commit.
struct DeletionData {
  JobRow job;                        // as it shall stand afterwards
  std::span<const PersonId> people;  // ascending, without repeats: everybody who goes
  std::uint64_t issuances = 0;       // that go with them
  DigestSum people_digest, issued_digest, times_digest;  // to be subtracted
  std::map<Generation, std::uint64_t> starters;          // the people by where they start from
  // The state that this was made from: kRefused when people came or went since.
  SegmentNumber next_segment = 1;
  PersonId deleted_people = 0;
  JournalEntry journal;  // sequence, previous and hash are given by the commit
};

// Update is one LMDB write transaction over the small tables. Nothing is applied before commit();
// destroying it forgets everything. LedgerState is kept up by the puts. Belongs to one thread.
class Update {
 public:
  virtual ~Update() = default;
  [[nodiscard]] virtual LedgerState& state() = 0;
  // put_agency: kRefused when another agency has this code or one of these parameters.
  [[nodiscard]] virtual Status put_agency(const Agency& agency) = 0;  // number 0: a new one
  // put_key: kRefused for a new key that is neither being made nor pending (but in create), for a
  // row that differs from the stored one in more than its state (a version is never used again; a
  // key that is being made has only its label yet), and for a step between states other than
  // making -> pending, destroyed; pending -> active, retired; active -> accepting, retired, chain;
  // accepting -> retired, chain; chain -> retired; retired -> destroyed.
  [[nodiscard]] virtual Status put_key(const KeyRow& key) = 0;
  // put_generation: kRefused for a step between states other than pending -> active, retired;
  // active -> accepting, retired; accepting -> retired.
  [[nodiscard]] virtual Status put_generation(const GenerationRow& row) = 0;
  // put_job: number 0 is a new job (the number is given and returned). The id must be new then.
  // A job that is running or answering becomes LedgerState::open_job, which must be free
  // (kRefused); in any other state it gives that up.
  [[nodiscard]] virtual Result<JobNumber> put_job(const JobRow& job) = 0;
  // put_progress is put_job for whoever runs the job: what the commands committed meanwhile
  // (paused, cancelled, approved_by) stays as the ledger has it. kRefused when the job was
  // cancelled. commit_segment puts its job in this way.
  [[nodiscard]] virtual Result<JobNumber> put_progress(const JobRow& job) = 0;
  // put_run: number 0 is a new regeneration (number and id are given). Until it is finished or
  // aborted it is LedgerState::open_run, which must be free (kRefused). kRefused as well for a step
  // between states other than planning -> planned -> running -> ready -> committed -> finished, and
  // to aborted from each before committed: another process went on with the run. Of a known run the
  // tally stays as the ledger has it.
  [[nodiscard]] virtual Result<RunRow> put_run(const RunRow& run) = 0;
  [[nodiscard]] virtual Status put_run_agency(const RunAgencyRow& row) = 0;
  // erase_files takes the person and index files of a linkage generation out of the manifest and
  // returns their rows: to be unlinked after the commit, see Staging::unlink. kRefused when a
  // generation that is active or accepting has these symbols.
  [[nodiscard]] virtual Result<std::vector<FileRow>> erase_files(Generation generation) = 0;
  [[nodiscard]] virtual Status add_stats(std::span<const StatRow> rows) = 0;
  [[nodiscard]] virtual Status append_journal(const Actor& actor, const std::string& act,
                                              const std::string& details_json) = 0;
  [[nodiscard]] virtual Status commit() = 0;
};

// Every call of a Ledger that looks into LMDB may answer kStale: another process has given the
// ledger new keys (see rekey.h), and nothing was done. Read the header, and open it again.
// Ledger is thread-safe; a write transaction excludes other writers of this and other processes.
class Ledger {
 public:
  // create makes `directory`'s ledger files in an existing, empty directory; `fill` puts the first
  // keys, generations and journal entry. All or nothing: a failure leaves the directory empty.
  [[nodiscard]] static Status create(const std::filesystem::path& directory,
                                     const LedgerHeader& header, const SecretBytes<32>& data_key,
                                     const std::function<Status(Update&)>& fill);

  // read_header reads what is not sealed. kRefused for another schema, kIo when there is no
  // ledger, kDamaged when LMDB does not open.
  [[nodiscard]] static Result<LedgerHeader> read_header(const std::filesystem::path& directory);

  // open: kRefused when another process holds the writer's lock (kWrite), kDamaged when the data
  // key does not open the sealed rows.
  [[nodiscard]] static Result<std::unique_ptr<Ledger>> open(const std::filesystem::path& directory,
                                                            Access access,
                                                            const SecretBytes<32>& data_key);
  virtual ~Ledger() = default;

  [[nodiscard]] virtual const LedgerHeader& header() const = 0;
  [[nodiscard]] virtual std::shared_ptr<const LedgerKeys> keys() const = 0;
  [[nodiscard]] virtual std::shared_ptr<const ContentDigest> content_digest() const = 0;

  // last_transaction changes with each commit of any process, and with nothing else; whoever reads
  // after it sees at least that commit. Cheap enough to be asked at every call.
  [[nodiscard]] virtual std::uint64_t last_transaction() const = 0;
  [[nodiscard]] virtual Result<LedgerState> state() const = 0;
  [[nodiscard]] virtual Result<std::vector<Agency>> agencies() const = 0;
  [[nodiscard]] virtual Result<std::vector<KeyRow>> key_rows() const = 0;
  [[nodiscard]] virtual Result<std::vector<GenerationRow>> generations() const = 0;
  [[nodiscard]] virtual Result<std::vector<JobRow>> jobs() const = 0;
  [[nodiscard]] virtual Result<std::optional<JobRow>> find_job(const std::string& id) const = 0;
  [[nodiscard]] virtual Result<JobRow> job(JobNumber number) const = 0;
  [[nodiscard]] virtual Result<std::vector<SegmentRow>> segments() const = 0;
  [[nodiscard]] virtual Result<std::vector<RunRow>> runs() const = 0;
  // run_agencies are the agencies' parts of one run, by number; 0 is the site's own.
  [[nodiscard]] virtual Result<std::vector<RunAgencyRow>> run_agencies(RunNumber run) const = 0;
  [[nodiscard]] virtual Result<std::vector<StatRow>> stats() const = 0;
  // journal reads entries [first, first + limit) by sequence, which counts from 0; fewer at the
  // end. The chain is checked from `first` on, and to the head when the end is reached.
  [[nodiscard]] virtual Result<std::vector<JournalEntry>> journal(std::uint64_t first,
                                                                  std::uint64_t limit) const = 0;
  [[nodiscard]] virtual Result<std::shared_ptr<const Snapshot>> snapshot() const = 0;
  // usage tells what the ledger takes; cheap enough to be asked every few seconds.
  [[nodiscard]] virtual Result<LedgerUsage> usage() const = 0;

  // open_again opens the ledger anew in the same process, with the same access (the writer's lock
  // goes along): for whoever was answered kStale, because the ledger was given new keys. This one
  // answers kStale from then on; its snapshots stay good. kWrite: nothing else may be under way.
  [[nodiscard]] virtual Result<std::unique_ptr<Ledger>> open_again(
      const SecretBytes<32>& data_key) = 0;

  // begin starts a write transaction (Access::kAppend or kWrite).
  [[nodiscard]] virtual Result<std::unique_ptr<Update>> begin() = 0;

  // commit_segment writes and syncs the segment's files, then commits manifest, job, segment,
  // digest, statistics and journal in one transaction; then starts merging in the background
  // where runs have become many. Returns the segment's number. kWrite only.
  [[nodiscard]] virtual Result<SegmentNumber> commit_segment(const SegmentData& data) = 0;

  // commit_deletion removes people from every bulk file: each file that holds anything of them is
  // written anew without it (in a person file a tombstone keeps the places of the others), synced,
  // and one transaction swaps the manifest's rows together with patches, digest, counts, job and
  // journal; then the old files are unlinked. kDamaged, and nothing is changed, when the files
  // hold more or less of them than `data` says. An error that says "was committed" came after the
  // commit: the next open for writing takes away what is left. Memory does not grow with the
  // ledger's files. kWrite only.
  [[nodiscard]] virtual Status commit_deletion(const DeletionData& data) = 0;

  // finish_merges merges all that is due, and waits for it. Destroying a ledger gives its merges
  // up: call this first where there is time, or small jobs never merge. A merge that failed (a full
  // disk) is tried again here and after each segment, since the ledger is whole without it: it is
  // an error, of this and of commit_segment, only when it met damage or when there are too many
  // files to go on; before that merge_warning tells of it. kWrite only.
  [[nodiscard]] virtual Status finish_merges() = 0;
  // remove_leftovers removes bulk files that the manifest does not name, as opening for writing
  // does, while the ledger stays open: of another process that died after it had taken them out of
  // the manifest. Waits for a merge that is under way. kWrite only.
  [[nodiscard]] virtual Status remove_leftovers() = 0;
  // merge_warning is why the last merge failed, until one succeeds.
  [[nodiscard]] virtual std::optional<Error> merge_warning() const = 0;
};

}  // namespace fugo::keystore
