#include "keystore/merger.h"

#include <algorithm>
#include <array>
#include <utility>

#include "keystore/update.h"

namespace fugo::keystore {

FileNumber BulkCatalogue::take_numbers(std::uint64_t count) {
  const std::lock_guard lock(mutex_);
  return std::exchange(next_file_, next_file_ + count);
}

Result<std::vector<FileRow>> BulkCatalogue::manifest() const {
  FUGO_ASSIGN(const auto transaction, begin_reading(environment_, *sealer_));
  return all_rows<FileRow>(*transaction, *sealer_, Table::kManifest);
}

Result<std::vector<FileRow>> BulkCatalogue::settled_files() const {
  FUGO_ASSIGN(const auto transaction, begin_reading(environment_, *sealer_));
  FUGO_ASSIGN(const LedgerState state, read_state(*transaction, *sealer_));
  FUGO_ASSIGN(auto rows, all_rows<FileRow>(*transaction, *sealer_, Table::kManifest));
  if (state.staged_generation != 0)
    std::erase_if(rows, [&](const FileRow& row) {
      return row.kind != FileKind::kIssued && row.generation == state.staged_generation;
    });
  return rows;
}

Merger::~Merger() { give_up(); }

void Merger::give_up() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Merger::wake() {
  {
    const std::lock_guard lock(mutex_);
    if (stop_) return;
    wanted_ = true;
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  }
  changed_.notify_all();
}

void Merger::settle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !wanted_ && !busy_; });
}

std::optional<Error> Merger::warning() const {
  const std::lock_guard lock(mutex_);
  return warning_;
}

Status Merger::take_damage() {
  const std::lock_guard lock(mutex_);
  if (!damage_) return {};
  Error error = *std::exchange(damage_, std::nullopt);
  return tl::unexpected(std::move(error));
}

bool Merger::stopping() {
  const std::lock_guard lock(mutex_);
  return stop_;
}

void Merger::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return wanted_ || stop_; });
    if (stop_) break;
    wanted_ = false;
    busy_ = true;
    lock.unlock();
    auto status = merge_all();
    lock.lock();
    busy_ = false;
    if (status) warning_.reset();
    if (!status && !stop_) {
      const bool damaged = status.error().code == ErrorCode::kDamaged;
      (damaged ? damage_ : warning_) = std::move(status).error();
    }
    changed_.notify_all();
  }
  wanted_ = false;
  changed_.notify_all();
}

Status Merger::merge_all() {
  while (!stopping()) {
    FUGO_ASSIGN(const auto rows, catalogue_.settled_files());
    const auto plans = plan_merges(rows);
    if (plans.empty()) return {};
    for (const MergePlan& plan : plans) {
      if (stopping()) return {};
      FUGO_TRY(carry_out(plan));
    }
  }
  return {};
}

Status Merger::carry_out(const MergePlan& plan) {
  const FileNumber number = catalogue_.take_numbers(1);
  FUGO_ASSIGN(const FileRow row,
              merge_files(catalogue_.place(), plan, number, [this] { return stopping(); }));
  const std::array<FileRow, 1> output{row};
  const auto prepare = [&]() -> Result<std::unique_ptr<SmallRowUpdate>> {
    FUGO_ASSIGN(auto update, SmallRowUpdate::begin(catalogue_.environment(), catalogue_.sealer()));
    for (const FileRow& input : plan.inputs) FUGO_TRY(update->erase_file(input));
    FUGO_TRY(update->put_file(row));
    update->state().next_file = std::max(update->state().next_file, number + 1);
    return update;
  };
  auto update = prepare();
  if (!update) {
    remove_bulk_files(catalogue_.place(), output);
    return tl::unexpected(std::move(update).error());
  }
  // When the commit itself fails it may have been applied all the same: both sets of files stay,
  // and the next open for writing removes the one that the manifest does not name.
  FUGO_TRY((*update)->commit());
  remove_bulk_files(catalogue_.place(), plan.inputs);
  return {};
}

}  // namespace fugo::keystore
