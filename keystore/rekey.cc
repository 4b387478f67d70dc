#include "keystore/rekey.h"

#include <algorithm>
#include <set>

#include "keystore/ledger_impl.h"
#include "keystore/rekey_files.h"
#include "keystore/verify_content.h"

namespace fugo::keystore {
namespace {

constexpr const char* kWhere = "rekey";
constexpr std::size_t kThreads = 2;

// Before is the ledger as one transaction saw it.
struct Before {
  LedgerState state;
  std::vector<FileRow> files;
  std::vector<Agency> agencies;
  std::vector<SegmentRow> segments;
  std::vector<GenerationRow> generations;
  std::shared_ptr<PatchTable> patches;
};

Result<Before> read_before(const LedgerImpl::Parts& parts) {
  const Sealer& sealer = *parts.sealer;
  FUGO_ASSIGN(const auto transaction, begin_reading(parts.environment, sealer));
  Before before;
  FUGO_ASSIGN(before.state, read_state(*transaction, sealer));
  FUGO_ASSIGN(before.files, all_rows<FileRow>(*transaction, sealer, Table::kManifest));
  FUGO_ASSIGN(before.agencies, all_rows<Agency>(*transaction, sealer, Table::kAgencies));
  FUGO_ASSIGN(before.segments, all_rows<SegmentRow>(*transaction, sealer, Table::kSegments));
  FUGO_ASSIGN(before.generations,
              all_rows<GenerationRow>(*transaction, sealer, Table::kGenerations));
  before.patches = std::make_shared<PatchTable>();
  FUGO_ASSIGN(before.patches->rows, all_patches(*transaction, sealer));
  return before;
}

Status check_may(const LedgerState& state) {
  if (state.open_run == 0) return fail(ErrorCode::kInternal, "no regeneration is open", kWhere);
  if (state.open_job != 0)
    return fail(ErrorCode::kRefused, "a job is unfinished", kWhere, "let it finish first");
  return {};
}

std::uint64_t bytes_of(const std::vector<FileRow>& rows) {
  std::uint64_t bytes = 0;
  for (const FileRow& row : rows) bytes += row.bytes;
  return bytes;
}

// Rekeyer is one attempt.
class Rekeyer {
 public:
  Rekeyer(const LedgerImpl::Parts& parts, Staging& staging, const RekeyData& data)
      : parts_(parts),
        place_{parts.directory / kBulkDirectory, parts.header.ledger_id},
        staging_(staging),
        data_(data) {}

  Status run(const RekeyProgress& progress, const std::function<bool()>& stop) {
    FUGO_TRY(prepare());
    const auto snapshot = open_snapshot(place_, before_.files, before_.patches);
    if (!snapshot) return gone(snapshot.error());
    RekeyMeter meter(progress, total_);
    FileRewriter rewriter({place_, **snapshot, *keys_,
                           [this](std::uint64_t count) {
                             const std::lock_guard lock(mutex_);
                             return staging_.take_numbers(count);
                           },
                           stop},
                          meter);
    if (auto written = rewriter.write(kept_); !written) return gone(std::move(written).error());
    const auto files = rewriter.files();
    FUGO_ASSIGN(const ContentSums sums, measure(files, meter));
    FUGO_ASSIGN(const auto update, make_update(files, sums));
    // When the commit itself fails it may have been applied all the same: both sets of files stay,
    // and the next open for writing removes the one that the manifest does not name.
    rewriter.keep();
    FUGO_TRY(update->commit());
    meter.finish();
    return unlink_old();
  }

 private:
  // A file may have been merged away by the writer meanwhile.
  tl::unexpected<Error> gone(Error error) const {
    const auto now = read_before(parts_);
    if (!now) return tl::unexpected(now.error());
    return tl::unexpected(gone_is_stale(std::move(error), before_.files, now->files));
  }

  Status prepare() {
    FUGO_ASSIGN(before_, read_before(parts_));
    FUGO_TRY(check_may(before_.state));
    const std::set<Generation> drop(data_.drop.begin(), data_.drop.end());
    for (const FileRow& row : before_.files) {
      if (row.kind != FileKind::kIssued && drop.contains(row.generation)) continue;
      kept_.push_back(row);
    }
    total_ = 3 * bytes_of(kept_);
    for (const GenerationRow& row : before_.generations)
      if (row.state == GenerationState::kActive) generation_ = row.linkage_generation;
    if (drop.contains(generation_))
      return fail(ErrorCode::kInternal, "the active generation's files cannot be dropped", kWhere);
    LedgerHeader header = parts_.header;
    header.wrap_key_version = data_.wrap_key_version;
    header.wrapped_data_key = data_.wrapped_data_key;
    FUGO_ASSIGN(header_, encode_header(header));
    FUGO_ASSIGN(keys_, LedgerKeys::derive(data_.data_key, header.ledger_id));
    sealer_ = std::make_shared<const Sealer>(keys_, header_);
    return {};
  }

  // measure looks at the new set as fugo verify would, with the new keys.
  Result<ContentSums> measure(const std::vector<FileRow>& files, RekeyMeter& meter) const {
    FUGO_ASSIGN(const auto snapshot, open_snapshot(place_, files, before_.patches));
    FUGO_ASSIGN(const auto digest, ContentDigest::create(keys_));
    LedgerState state = before_.state;
    VerifyInput input{
        *snapshot, *keys_, *digest, before_.agencies, before_.segments, state, before_.generations};
    input.generation = generation_;
    input.threads = kThreads;
    std::uint64_t told = 0;
    const VerifyProgress progress = [&](std::uint64_t done, std::uint64_t) {
      meter.add(done - std::exchange(told, done));
    };
    ContentSums sums;
    FUGO_ASSIGN(auto findings, measure_content(input, sums, progress));
    for (const GenerationRow& row : before_.generations)
      if (sums.starters[row.number] != row.starters && findings.empty())
        findings.push_back({ErrorCode::kDamaged,
                            "more or fewer people start from a version than were counted",
                            "ledger, table generations",
                            {},
                            0});
    const bool more_generations = std::any_of(files.begin(), files.end(), [&](const FileRow& row) {
      return row.kind == FileKind::kPerson && row.generation != generation_;
    });
    if (findings.empty() && more_generations) {
      state.people_digest = sums.people_digest;
      state.issued_digest = sums.issued_digest;
      state.times_digest = sums.times_digest;
      FUGO_ASSIGN(findings, verify_content(input));
    }
    if (findings.empty()) return sums;
    Error error = findings.front();
    error.what += " in the files made anew, and nothing was changed";
    error.hint = "run fugo verify";
    return tl::unexpected(std::move(error));
  }

  Status check_same(const LedgerState& now) const {
    if (now.open_job != 0)
      return fail(ErrorCode::kStale, "a job began meanwhile", kWhere, "it is waited for");
    FUGO_TRY(check_may(now));
    const LedgerState& then = before_.state;
    if (now.next_person == then.next_person && now.next_segment == then.next_segment &&
        now.deleted_people == then.deleted_people && now.issuances == then.issuances &&
        now.patch_changes == then.patch_changes)
      return {};
    return fail(ErrorCode::kStale, "people came or went meanwhile", kWhere, "it is tried again");
  }

  Result<std::unique_ptr<SmallRowUpdate>> make_update(const std::vector<FileRow>& files,
                                                      const ContentSums& sums) {
    FUGO_ASSIGN(auto update, SmallRowUpdate::begin(parts_.environment, parts_.sealer));
    FUGO_TRY(check_same(update->state()));
    FUGO_TRY(update->check_manifest(before_.files));
    if (data_.fill) FUGO_TRY(data_.fill(*update));
    FUGO_TRY(update->reseal(sealer_, header_, files));
    LedgerState& state = update->state();
    state.people_digest = sums.people_digest;
    state.issued_digest = sums.issued_digest;
    state.times_digest = sums.times_digest;
    for (const FileRow& row : files)
      state.next_staged_file = std::max(state.next_staged_file, row.number + 1);
    return update;
  }

  Status unlink_old() {
    auto unlinked = staging_.unlink(before_.files);
    if (unlinked) return {};
    Error error = std::move(unlinked).error();
    error.what = "the new keys were committed, but an old file is still there: " + error.what;
    error.hint = "open the ledger for writing again, which removes it";
    return tl::unexpected(std::move(error));
  }

  const LedgerImpl::Parts& parts_;
  const BulkPlace place_;
  Staging& staging_;
  const RekeyData& data_;
  std::mutex mutex_;  // of staging_
  Before before_;
  std::vector<FileRow> kept_;
  std::uint64_t total_ = 0;
  Generation generation_ = 0;
  std::vector<std::uint8_t> header_;
  std::shared_ptr<const LedgerKeys> keys_;
  std::shared_ptr<const Sealer> sealer_;
};

}  // namespace

Status rekey(Ledger& ledger, Staging& staging, const RekeyData& data, const RekeyProgress& progress,
             const std::function<bool()>& stop) {
  auto* implementation = dynamic_cast<LedgerImpl*>(&ledger);
  if (implementation == nullptr || implementation->parts().access == Access::kRead)
    return fail(ErrorCode::kInternal, "the ledger was not opened for this", kWhere);
  return Rekeyer(implementation->parts(), staging, data).run(progress, stop);
}

}  // namespace fugo::keystore
