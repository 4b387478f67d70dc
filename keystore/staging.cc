#include "keystore/staging.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "base/file.h"
#include "base/parallel.h"
#include "keystore/ledger_impl.h"

namespace fugo::keystore {
namespace {

constexpr const char* kWhere = "regeneration";
constexpr std::chrono::milliseconds kPoll{20};

class FileStaging final : public Staging {
 public:
  FileStaging(LedgerImpl& ledger, UniqueFd lock, FileNumber next_file)
      : ledger_(ledger),
        place_{ledger.parts().directory / kBulkDirectory, ledger.parts().header.ledger_id},
        lock_(std::move(lock)),
        next_file_(next_file) {}

  // remove_orphans unlinks staged files that nobody names: the lock says that nobody writes them.
  [[nodiscard]] Status remove_orphans() {
    FUGO_ASSIGN(auto orphans, unnamed());
    std::erase_if(orphans, [](const auto& name) { return !is_staged_file(name); });
    return remove(orphans);
  }

  Status remove_leftovers(std::chrono::milliseconds patience) override {
    if (ledger_.parts().access == Access::kWrite) {
      FUGO_TRY(remove_orphans());  // which the writer leaves to us while a run is open
      return ledger_.remove_leftovers();
    }
    const auto end = std::chrono::steady_clock::now() + patience;
    FUGO_ASSIGN(auto left, unnamed());
    while (!left.empty()) {
      FUGO_ASSIGN(const bool removed, remove_as_writer());
      if (removed) return {};
      if (std::chrono::steady_clock::now() > end)
        return fail(ErrorCode::kRefused,
                    std::to_string(left.size()) +
                        " files that the ledger does not name are still there, and another process "
                        "has it open for writing",
                    place_.directory.string(),
                    "run this again; a restart of fugod removes them, too");
      std::this_thread::sleep_for(kPoll);
      FUGO_ASSIGN(const auto now, unnamed());
      std::erase_if(left, [&](const auto& name) {
        return std::find(now.begin(), now.end(), name) == now.end();
      });
    }
    return {};
  }

  Status add_people(const StagedPeople& piece) override {
    const SegmentFiles content{piece.generation, piece.first_id, piece.people, piece.index, {}};
    FUGO_ASSIGN(const auto files,
                write_segment_files(place_, next_file_, content, hardware_threads()));
    next_file_ += files.size();
    auto update = prepare(piece, files);
    if (!update) {
      remove_bulk_files(place_, files);
      return tl::unexpected(std::move(update).error());
    }
    return (*update)->commit();  // if it fails: the next open tells which files stay
  }

  Status merge(Generation generation, const std::function<bool()>& stop) override {
    for (;;) {
      FUGO_ASSIGN(auto rows, manifest());
      std::erase_if(rows, [&](const FileRow& row) {
        return row.kind == FileKind::kIssued || row.generation != generation;
      });
      const auto plans = plan_merges(rows);
      if (plans.empty()) return {};
      for (const MergePlan& plan : plans) {
        const Status done = carry_out(plan, stop);
        if (!done && done.error().code == ErrorCode::kStale) continue;  // a deletion rewrote them
        FUGO_TRY(done);
      }
    }
  }

  FileNumber take_numbers(std::uint64_t count) override {
    return std::exchange(next_file_, next_file_ + count);
  }

  Status unlink(std::span<const FileRow> rows) override {
    for (const FileRow& row : rows) {
      const auto path = place_.directory / bulk_file_name(row.number);
      if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        return fail_errno("cannot remove", path.string(), errno);
    }
    return sync_directory(place_.directory);
  }

 private:
  [[nodiscard]] Result<std::vector<FileRow>> manifest() const {
    FUGO_ASSIGN(const auto transaction,
                begin_reading(ledger_.parts().environment, *ledger_.parts().sealer));
    return all_rows<FileRow>(*transaction, *ledger_.parts().sealer, Table::kManifest);
  }

  // unnamed looks at the directory first: what is committed in between is named.
  [[nodiscard]] Result<std::vector<std::filesystem::path>> unnamed() const {
    FUGO_ASSIGN(auto names, find_unnamed_files(place_, {}));
    FUGO_ASSIGN(const auto rows, manifest());
    std::set<std::string> named;
    for (const FileRow& row : rows) named.insert(bulk_file_name(row.number));
    std::erase_if(names, [&](const auto& name) { return named.contains(name.string()); });
    return names;
  }

  [[nodiscard]] Status remove(const std::vector<std::filesystem::path>& names) const {
    for (const auto& name : names) {
      std::error_code error;
      std::filesystem::remove_all(place_.directory / name, error);
      if (error)
        return fail_errno("cannot remove what a process that died has left", name.string(),
                          error.value());
    }
    return names.empty() ? Status{} : sync_directory(place_.directory);
  }

  // remove_as_writer removes everything that nobody names; false while somebody else is the writer.
  [[nodiscard]] Result<bool> remove_as_writer() const {
    const auto lock = take_writer_lock(ledger_.parts().directory);
    if (!lock && lock.error().code == ErrorCode::kRefused) return false;
    if (!lock) return tl::unexpected(lock.error());
    FUGO_TRY(ledger_.parts().environment->settle());  // the writer may have died since
    FUGO_ASSIGN(const auto names, unnamed());
    FUGO_TRY(remove(names));
    return true;
  }

  [[nodiscard]] Result<std::unique_ptr<SmallRowUpdate>> begin() const {
    return SmallRowUpdate::begin(ledger_.parts().environment, ledger_.parts().sealer);
  }

  [[nodiscard]] Status put_files(SmallRowUpdate& update, std::span<const FileRow> files) const {
    for (const FileRow& file : files) FUGO_TRY(update.put_file(file));
    update.state().next_staged_file = std::max(update.state().next_staged_file, next_file_);
    return {};
  }

  [[nodiscard]] Result<std::unique_ptr<SmallRowUpdate>> prepare(
      const StagedPeople& piece, std::span<const FileRow> files) const {
    FUGO_ASSIGN(auto update, begin());
    const LedgerState& state = update->state();
    if (state.staged_generation != piece.generation || state.open_run != piece.run.number)
      return fail(ErrorCode::kRefused, "the regeneration was ended by another process", kWhere);
    if (state.deleted_people != piece.deleted_people)
      return fail(ErrorCode::kStale, "people were deleted meanwhile", kWhere, "read them anew");
    FUGO_TRY(put_files(*update, files));
    FUGO_TRY(update->put_run(piece.run).map([](auto&&) {}));
    return update;
  }

  [[nodiscard]] Status carry_out(const MergePlan& plan, const std::function<bool()>& stop) {
    const FileNumber number = next_file_++;
    auto merged = merge_files(place_, plan, number, stop);
    if (!merged) {
      FUGO_ASSIGN(const auto now, manifest());
      return tl::unexpected(gone_is_stale(std::move(merged).error(), plan.inputs, now));
    }
    const FileRow row = *merged;
    const auto prepare_merge = [&]() -> Result<std::unique_ptr<SmallRowUpdate>> {
      FUGO_ASSIGN(auto update, begin());
      for (const FileRow& input : plan.inputs) FUGO_TRY(update->erase_file(input));
      FUGO_TRY(put_files(*update, {&row, 1}));
      return update;
    };
    auto update = prepare_merge();
    if (!update) {
      remove_bulk_files(place_, {&row, 1});
      return tl::unexpected(std::move(update).error());
    }
    FUGO_TRY((*update)->commit());
    remove_bulk_files(place_, plan.inputs);
    return {};
  }

  LedgerImpl& ledger_;
  const BulkPlace place_;
  const UniqueFd lock_;
  FileNumber next_file_;
};

}  // namespace

Result<std::unique_ptr<Staging>> Staging::open(Ledger& ledger) {
  auto* implementation = dynamic_cast<LedgerImpl*>(&ledger);
  if (implementation == nullptr || implementation->parts().access == Access::kRead)
    return fail(ErrorCode::kInternal, "the ledger was not opened for this", kWhere);
  FUGO_ASSIGN(auto lock, take_lock(implementation->parts().directory, kRegenerationLock,
                                   "another process is regenerating"));
  FUGO_TRY(implementation->parts().environment->settle());  // before orphans are looked for
  FUGO_ASSIGN(const LedgerState state, ledger.state());
  auto staging =
      std::make_unique<FileStaging>(*implementation, std::move(lock), state.next_staged_file);
  FUGO_TRY(staging->remove_orphans());
  return std::unique_ptr<Staging>(std::move(staging));
}

}  // namespace fugo::keystore
