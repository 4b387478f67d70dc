// The rows of the ledger as values. Numbers in enums are stored: never change or reuse one.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/secret.h"

namespace fugo::keystore {

using PersonId = std::uint32_t;       // position of a person, from 0, never reused
using AgencyNumber = std::uint16_t;   // the ledger's own number of an agency, from 1
using SegmentNumber = std::uint32_t;  // from 1
using JobNumber = std::uint32_t;      // from 1
using Generation = std::uint16_t;     // symbol version, from 1
using FileNumber = std::uint64_t;     // from 1, never reused
using RunNumber = std::uint32_t;      // of a regeneration, from 1

inline constexpr PersonId kNoPerson = 0xFFFFFFFF;
// Files from this number on are written by a regeneration, beside the ledger's writer.
inline constexpr FileNumber kFirstStagedFile = FileNumber{1} << 40U;
inline constexpr SegmentNumber kNoSegment = 0;

// CheckValue V tells the same person from a collision; a secret like the linkage symbol.
using CheckValue = std::array<std::uint8_t, 8>;

enum class PersonState : std::uint8_t { kActive = 1, kSuperseded = 2, kDeleted = 3 };

// PersonRecord is what the ledger keeps of one person. Secret: lives in SecretArrays only.
struct PersonRecord {
  Block linkage_symbol;
  CheckValue check_value{};
  std::uint16_t counter = 0;  // disambiguation counter
  Generation start = 1;       // the generation that this person's chain starts from
  std::uint8_t method = 1;    // of the linkage symbol
  PersonState state = PersonState::kActive;
  PersonId predecessor = kNoPerson;
  PersonId successor = kNoPerson;
  SegmentNumber segment = kNoSegment;        // that made this person
  SegmentNumber superseded_in = kNoSegment;  // the segment that put the successor in their place
};

// PersonPatch is what became of a person since the record was written: it takes the place of the
// fields of the same names, in every generation. It lies in LMDB, whose old pages keep what was
// once written, so no symbol and no check value is in it.
struct PersonPatch {
  PersonId id = 0;
  Generation generation = 1;  // that was active then
  PersonState state = PersonState::kSuperseded;
  PersonId predecessor = kNoPerson;
  PersonId successor = kNoPerson;
  SegmentNumber superseded_in = kNoSegment;
  friend bool operator==(const PersonPatch&, const PersonPatch&) = default;
};

// IndexEntry finds a person by linkage symbol. Sorted by (digest, id).
struct IndexEntry {
  std::uint64_t digest = 0;  // LedgerKeys::symbol_digests of the linkage symbol
  PersonId id = 0;
  std::uint32_t tag = 0;  // first 4 bytes of the check value, as keyed by symbol_tag
};

// IssuedKey and IssuedEntry: this agency was issued a symbol for this person, in this segment.
// Sorted by (agency, id).
struct IssuedKey {
  AgencyNumber agency = 0;
  PersonId id = 0;
  friend auto operator<=>(const IssuedKey&, const IssuedKey&) = default;
};
struct IssuedEntry {
  IssuedKey key;
  SegmentNumber segment = kNoSegment;
};

enum class AgencyState : std::uint8_t { kActive = 1, kSuspended = 2, kClosed = 3 };

// AgencyVersion is how an agency's symbols are made from one generation on.
struct AgencyVersion {
  Generation generation = 1;
  std::uint8_t method = 1;
  std::uint16_t key_version = 1;
  Block parameter;  // P_a: 128 random bits, distinct for every agency and version
  friend bool operator==(const AgencyVersion&, const AgencyVersion&) = default;
};

struct Agency {
  AgencyNumber number = 0;
  std::string code;
  std::string name;
  AgencyState state = AgencyState::kActive;
  std::int64_t added = 0;               // seconds since 1970
  std::vector<AgencyVersion> versions;  // oldest first; the last is the active one
  // X.509 in DER, which what is written for this agency is encrypted to; empty: in the clear.
  std::vector<std::uint8_t> certificate = {};
  friend bool operator==(const Agency&, const Agency&) = default;
};

enum class KeyState : std::uint8_t {
  kPending = 1,
  kActive = 2,
  kAccepting = 3,
  kRetired = 4,
  kDestroyed = 5,
  kChain = 6,   // an old linkage key that people still start from
  kMaking = 7,  // its ceremony is under way, or died: no more is known of it than its name
};

// KeyRow is one key version in the registry; purpose and algorithm are hsm::KeyPurpose and
// hsm::KeyAlgorithm as numbers (this layer does not know hsm).
struct KeyRow {
  std::uint8_t purpose = 0;
  std::uint8_t algorithm = 0;
  std::uint16_t version = 0;
  KeyState state = KeyState::kPending;
  Block fingerprint;
  std::string label;
  std::int64_t created = 0;
  // Of a signing key its CKA_EC_POINT; of a wrap key that was made for an existing ledger the new
  // data key, wrapped by it; else empty.
  std::vector<std::uint8_t> public_key;
  friend bool operator==(const KeyRow&, const KeyRow&) = default;
};

enum class GenerationState : std::uint8_t {
  kPending = 1,
  kActive = 2,
  kAccepting = 3,
  kRetired = 4
};

// GenerationRow says which keys and methods make the symbols of one generation.
struct GenerationRow {
  Generation number = 1;
  GenerationState state = GenerationState::kActive;
  std::uint8_t linkage_method = 1;
  std::uint16_t linkage_key = 1;  // version of K_link
  // linkage_generation is the one whose person and index files hold this generation's linkage
  // symbols: itself, or an earlier one when only other keys were changed since.
  Generation linkage_generation = 1;
  // Of a generation with linkage symbols of its own: the one whose symbols they were chained from,
  // 0 for the first.
  Generation chained_from = 0;
  std::uint16_t agency_key = 1;    // version of every key that makes agency symbols
  std::uint8_t agency_method = 0;  // that a run gave to all agencies; 0: each has its own
  std::uint16_t record_key = 1;
  std::int64_t created = 0;
  // How many people, the deleted left out, start from this generation's linkage symbols: as long as
  // there are any, its linkage key and all later ones are needed to find them by resident code.
  std::uint64_t starters = 0;
  friend bool operator==(const GenerationRow&, const GenerationRow&) = default;
};

// A merger is of two agencies, without a request file.
enum class JobKind : std::uint8_t { kIssue = 1, kChange = 2, kDelete = 3, kMerge = 4 };
enum class JobState : std::uint8_t {
  kRunning = 1,
  kAnswering = 2,
  kAnswered = 3,
  kDone = 4,
  kRefused = 5,
  kHeld = 6,      // nothing was applied: waits for an approval
  kCancelled = 7  // given up; segments that were committed before stay
};

// KeyBlocks counts the blocks that symbol keys evaluated, as pairs: 65536 x purpose + version of a
// key, then its count; ascending.
using KeyBlocks = std::vector<std::uint64_t>;
inline constexpr std::uint64_t kNoQuota = ~std::uint64_t{0};

// JobRow is one request file's way through the ledger, with all that was pinned at its start.
struct JobRow {
  JobNumber number = 0;
  std::string id;
  JobKind kind = JobKind::kIssue;
  JobState state = JobState::kRunning;
  // The request's HMAC-SHA-256, and what its key is made from: daemon/jobs/request_key.h.
  std::array<std::uint8_t, 32> request_hmac{}, request_key{};
  std::int64_t time = 0;  // pinned time of issue, seconds since 1970
  std::string operator_name;
  std::string order;             // work order, may be empty
  std::string output_directory;  // absolute
  Generation generation = 1;
  std::uint64_t registry_version = 0;  // LedgerState::registry_version when it started
  std::uint32_t segment_rows = 0;      // rows of a segment
  std::uint64_t rows = 0;              // rows of the file
  std::uint64_t rows_done = 0;         // rows behind committed segments
  SegmentNumber first_segment = kNoSegment;
  std::uint32_t segments = 0;  // committed
  std::uint64_t count_new = 0, count_existing = 0, count_rejected = 0, people_new = 0;
  std::array<std::uint8_t, 32> answers_digest{};  // of all answer files; zero until answering
  bool accept_rejects = false;
  bool check_digits = true;
  bool join = false;         // kind change: the first line says join=yes
  bool own_request = false;  // the request file is the daemon's, which destroys it
  // Control, written by the commands; whoever runs the job looks at them between its steps.
  bool paused = false;
  bool cancelled = false;   // to be given up at the next step
  std::string hold_reason;  // "rejects", "delete", "join"; stays when the job was approved
  std::string approved_by;  // operators, separated by a comma; empty: not approved
  // The registry as the job saw it: agencies below next_agency, these in these states, the rest
  // active. So the same request is answered the same after an agency was suspended or added.
  AgencyNumber next_agency = 1;
  std::vector<std::uint64_t> suspended_agencies, closed_agencies;
  std::uint64_t row_quota = kNoQuota;  // rows from here on (from 0) are beyond the quota
  KeyBlocks blocks;                    // evaluated for its committed segments
  friend bool operator==(const JobRow&, const JobRow&) = default;
};

// SegmentRow is one committed piece of a job.
struct SegmentRow {
  SegmentNumber number = 0;
  JobNumber job = 0;
  std::int64_t time = 0;        // the job's pinned time
  std::uint64_t first_row = 0;  // in the file, from 0
  std::uint32_t rows = 0;
  std::uint32_t people_new = 0;
  std::uint32_t issuances_new = 0;
  friend bool operator==(const SegmentRow&, const SegmentRow&) = default;
};

// RunState: what became of a regeneration.
enum class RunState : std::uint8_t {
  kPlanning = 1,   // its keys are being made
  kPlanned = 2,    // keys and generation are there, pending
  kRunning = 3,    // the new generation is being written
  kReady = 4,      // everything was made at least once
  kCommitted = 5,  // the new generation is active
  kFinished = 6,
  kAborted = 7
};

// What a run makes anew: bits of RunRow::what.
inline constexpr std::uint8_t kRunLinkage = 1, kRunAgency = 2, kRunRecord = 4, kRunLedger = 8,
                              kRunRebase = 16;

// RunKey is a key version that a run made or puts out of use.
struct RunKey {
  std::uint8_t purpose = 0;
  std::uint8_t algorithm = 0;
  std::uint16_t version = 0;
  friend bool operator==(const RunKey&, const RunKey&) = default;
};

// RunTally is what a run is reconciled by: counted in the transactions that issue and delete, and
// by nothing that the run itself makes. Symbols are those of the open agencies that it maps.
struct RunTally {
  // From the plan to the commit.
  std::uint64_t people_added = 0, people_deleted = 0;
  std::uint64_t symbols_added = 0, symbols_deleted = 0;
  // From the commit to the finish: deleted symbols of the old generation.
  std::uint64_t old_symbols_deleted = 0;
  friend bool operator==(const RunTally&, const RunTally&) = default;
};

// RunRow is one regeneration: its plan, how far it is, and what it came to.
struct RunRow {
  RunNumber number = 0;
  std::string id;  // "R" and the number, at least four digits: "R+0001"
  RunState state = RunState::kPlanning;
  std::uint8_t what = 0;            // kRun... bits
  AgencyNumber agency = 0;          // with kRunAgency: this one's parameter only; 0: all
  std::uint8_t linkage_method = 0;  // wanted; 0: as before
  std::uint8_t agency_method = 0;   // wanted; 0: as before
  std::string reason;
  std::string operator_name, order;                       // of the plan
  std::int64_t planned = 0, committed = 0, finished = 0;  // times; 0: not yet
  Generation from = 1;                                    // active when it was planned
  Generation to = 0;                                      // the new one
  std::vector<RunKey> new_keys;
  // The new data key, wrapped by that version of the wrap key; empty: the old one stays.
  std::uint16_t wrap_key_version = 0;
  std::vector<std::uint8_t> wrapped_data_key;
  std::uint16_t old_wrap_key_version = 0;  // that the new data key's takes the place of, or 0
  // What there was to be made when it was planned: people's linkage symbols, agency symbols (of how
  // many agencies) and record symbols.
  std::uint64_t planned_people = 0, planned_symbols = 0, planned_agencies = 0, planned_records = 0;
  RunTally tally;                // kept up by the ledger: put_run leaves it as it is there
  std::string output_directory;  // absolute; of the mapping files
  // Progress.
  PersonId people_done = 0;          // ids below are in the new generation
  std::uint64_t people_made = 0;     // linkage symbols made for those who are not deleted
  std::uint64_t people_rebased = 0;  // of them, made afresh from resident codes
  std::uint64_t codes_rejected = 0, codes_unknown = 0;  // of a rebase's delivery: left out
  std::uint64_t symbols_mapped = 0, records_mapped = 0;
  bool reject_old = false;
  SegmentNumber last_segment = kNoSegment;  // of the old generation, set by the commit
  bool without_acks = false;
  // Old agency symbols that became unknown, at the finish, or with reject_old at the commit.
  std::uint64_t symbols_rejected = 0;
  std::string statement;  // file name, once there is one
  friend bool operator==(const RunRow&, const RunRow&) = default;
};

// RunAgencyRow is one agency's part in a run. Agency 0 stands for the site's own record aliases.
struct RunAgencyRow {
  RunNumber run = 0;
  AgencyNumber agency = 0;
  std::uint64_t symbols = 0;         // rows of the mapping file
  std::uint64_t deleted_people = 0;  // LedgerState's when it was made
  std::uint64_t bytes = 0;           // of the file
  std::array<std::uint8_t, 32> sha256{};
  std::int64_t acknowledged = 0;  // 0: not yet
  std::string acknowledged_by;
  friend bool operator==(const RunAgencyRow&, const RunAgencyRow&) = default;
};

// is_mapped tells whether a run gives new symbols to this agency (number 0: record symbols).
[[nodiscard]] inline bool is_mapped(const RunRow& run, AgencyNumber agency) {
  if ((run.what & (kRunLinkage | kRunRebase)) != 0) return true;
  if (agency == 0) return (run.what & kRunRecord) != 0;
  return (run.what & kRunAgency) != 0 && (run.agency == 0 || run.agency == agency);
}

// JournalEntry names who did what when; see keystore/clock.h. `details` is JSON without secrets.
struct JournalEntry {
  std::uint64_t sequence = 0;  // from 0
  std::int64_t time = 0;
  std::string operator_name;
  std::string order;
  std::string role;     // as what: a name of the table of roles
  std::string account;  // the OS account that the process runs for
  std::string act;      // "init", "agency.add", "issue.start", "issue.segment", "issue.done", ...
  std::string details;  // JSON
  std::array<std::uint8_t, 32> previous{};  // hash of the entry before
  std::array<std::uint8_t, 32> hash{};      // SHA-256 over previous and the encoded rest
  friend bool operator==(const JournalEntry&, const JournalEntry&) = default;
};

// StatRow counts one day, agency and symbol version.
struct StatRow {
  std::string day;          // in the site's time zone, "2026-11-20"
  AgencyNumber agency = 0;  // 0: rows rejected before their agency was known
  Generation generation = 1;
  std::uint64_t count_new = 0, count_existing = 0, count_rejected = 0;
  friend bool operator==(const StatRow&, const StatRow&) = default;
};

// DigestSum is a sum modulo 2^256, little-endian limbs.
struct DigestSum {
  std::array<std::uint64_t, 4> limbs{};
  void add(const DigestSum& other);
  void subtract(const DigestSum& other);
  friend bool operator==(const DigestSum&, const DigestSum&) = default;
};

enum class FileKind : std::uint8_t { kPerson = 1, kIndex = 2, kIssued = 3 };

// FileRow is one bulk data file that makes up the ledger: a row of the manifest.
struct FileRow {
  FileNumber number = 0;  // also its name: "data/0000000001.fugo"
  FileKind kind = FileKind::kPerson;
  Generation generation = 1;  // linkage generation of persons and index; issued files say 0
  PersonId first_id = 0;      // of a person file
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;  // exact length
  SecretBytes<32> key;      // random, this file's own; sealed with the row
  friend bool operator==(const FileRow&, const FileRow&) = default;
};

// LedgerState is the one sealed row that ties all tables together; every commit rewrites it.
struct LedgerState {
  std::uint64_t commits = 0;
  PersonId next_person = 0;
  SegmentNumber next_segment = 1;
  JobNumber next_job = 1;
  AgencyNumber next_agency = 1;
  FileNumber next_file = 1;
  FileNumber next_staged_file = kFirstStagedFile;
  RunNumber next_run = 1;
  RunNumber open_run = 0;              // the unfinished regeneration, or 0
  Generation staged_generation = 0;    // whose files a regeneration writes beside the writer, or 0
  std::uint64_t registry_version = 0;  // bumped when an agency, key or generation changes
  std::uint64_t issuances = 0;         // that are there
  PersonId deleted_people = 0;         // tombstones among the ids below next_person
  std::uint64_t deleted_issuances = 0;
  std::uint64_t patch_changes = 0;        // times that a patch was put or erased
  std::uint16_t most_counter = 0;         // largest disambiguation counter of anybody, ever
  JobNumber open_job = 0;                 // the unfinished job, or 0
  JobNumber may_end = 0;                  // it goes on though issuing is frozen: a run waits for it
  std::string freeze_issue, freeze_link;  // why issuing or linking is frozen; empty: it is not
  DigestSum people_digest;                // over people
  DigestSum issued_digest;                // over issuances, without times
  DigestSum times_digest;                 // over issuances with their times
  std::uint64_t journal_entries = 0;
  std::array<std::uint8_t, 32> journal_head{};
  std::int64_t journal_time = 0;          // of the last entry: no later one is older
  std::uint32_t quota_day = 0;            // days since 1970, of the newest
  std::uint64_t quota_rows = 0;           // rows that requests of that day were let have
  std::uint64_t quota_checked = 0;        // rows that were only checked on that day
  KeyBlocks blocks;                       // evaluated for all jobs
  std::uint64_t unexplained_blocks = 0;   // of them, what no row accounts for
  std::vector<std::uint64_t> table_rows;  // number of rows of each table, by table number
  DigestSum rows_digest;                  // keyed, over every sealed row but this one
  friend bool operator==(const LedgerState&, const LedgerState&) = default;
};

}  // namespace fugo::keystore
