#include "keystore/rekey_files.h"

#include <algorithm>
#include <map>
#include <optional>

#include "base/file.h"
#include "base/parallel.h"
#include "keystore/bulk_writer.h"

namespace fugo::keystore {
namespace {

constexpr std::size_t kRange = std::size_t{1} << 22U;  // people whose index entries are sorted
constexpr std::size_t kBatch = 4096;
constexpr std::size_t kThreads = 2;

}  // namespace

void RekeyMeter::add(std::uint64_t bytes) {
  if (!progress_) return;
  const std::lock_guard lock(mutex_);
  done_ = std::min(done_ + bytes, total_);
  progress_(done_, total_);
}

void RekeyMeter::finish() {
  if (progress_) progress_(total_, total_);
}

FileRewriter::~FileRewriter() {
  if (!kept_) remove_bulk_files(source_.place, files_);
}

Status FileRewriter::going() const {
  if (source_.stop && source_.stop())
    return fail(ErrorCode::kRefused, "it was stopped", "rekey", "run it again");
  return {};
}

void FileRewriter::add(const FileRow& row) {
  const std::lock_guard lock(mutex_);
  files_.push_back(row);
}

std::vector<FileRow> FileRewriter::files() const {
  const std::lock_guard lock(mutex_);
  auto files = files_;
  std::sort(files.begin(), files.end(),
            [](const FileRow& a, const FileRow& b) { return a.number < b.number; });
  return files;
}

Status FileRewriter::write(const std::vector<FileRow>& rows) {
  FUGO_TRY(copy(rows));
  std::map<Generation, PersonId> people;
  for (const FileRow& row : rows)
    if (row.kind == FileKind::kPerson) people[row.generation] += static_cast<PersonId>(row.entries);
  for (const auto& [generation, count] : people) {
    FUGO_TRY(make_index(generation, count));
    FUGO_TRY(merge_index(generation));
  }
  return sync_directory(source_.place.directory);
}

Status FileRewriter::copy(const std::vector<FileRow>& rows) {
  return parallel_ranges(
      rows.size(), 1, kThreads, [&](std::size_t first, std::size_t last, std::size_t) -> Status {
        for (std::size_t i = first; i < last; ++i) {
          if (rows[i].kind == FileKind::kIndex) continue;
          FUGO_TRY(going());
          FUGO_ASSIGN(const FileRow made, merge_files(source_.place, {{rows[i]}},
                                                      source_.take_numbers(1), source_.stop));
          add(made);
          meter_.add(rows[i].bytes);
        }
        return {};
      });
}

Status FileRewriter::make_index(Generation generation, PersonId people) {
  return parallel_ranges(
      people, kRange, kThreads, [&](std::size_t first, std::size_t last, std::size_t) -> Status {
        FUGO_ASSIGN(const FileRow made, write_range(generation, static_cast<PersonId>(first),
                                                    static_cast<PersonId>(last)));
        if (made.entries != 0) add(made);
        return {};
      });
}

// A range of people of whom nobody is left gives a row without entries, and no file.
Result<FileRow> FileRewriter::write_range(Generation generation, PersonId first, PersonId last) {
  FUGO_ASSIGN(auto entries, SecretArray<IndexEntry>::create(last - first));
  FUGO_ASSIGN(auto people, SecretArray<PersonRecord>::create(kBatch));
  FUGO_ASSIGN(auto symbols, SecretArray<Block>::create(kBatch));
  FUGO_ASSIGN(auto digests, SecretArray<std::uint64_t>::create(kBatch));
  std::size_t made = 0;
  for (PersonId from = first; from < last; from += kBatch) {
    FUGO_TRY(going());
    const std::size_t count = std::min<std::size_t>(kBatch, last - from);
    FUGO_TRY(source_.snapshot.read_people_range(generation, from, people.span().first(count)));
    std::size_t alive = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (people[i].state == PersonState::kDeleted) continue;
      symbols[alive++] = people[i].linkage_symbol;
      entries[made++] = {0, static_cast<PersonId>(from + i), symbol_tag(people[i].check_value)};
    }
    FUGO_TRY(source_.keys.symbol_digests(symbols.span().first(alive), digests.span().first(alive)));
    for (std::size_t i = 0; i < alive; ++i) entries[made - alive + i].digest = digests[i];
    meter_.add(count * sizeof(IndexEntry));
  }
  if (made == 0) return FileRow{};
  const auto sorted = entries.span().first(made);
  std::sort(sorted.begin(), sorted.end(), IndexCodec::before);
  FUGO_ASSIGN(auto writer,
              EntryWriter<IndexCodec>::create(source_.place, source_.take_numbers(1), generation));
  FUGO_TRY(writer.append(sorted));
  return writer.finish();
}

// The runs were never named by a manifest: inputs may go as soon as they were merged.
Status FileRewriter::merge_index(Generation generation) {
  for (;;) {
    std::vector<FileRow> runs = files();
    std::erase_if(runs, [&](const FileRow& row) {
      return row.kind != FileKind::kIndex || row.generation != generation;
    });
    const auto plans = plan_merges(runs);
    if (plans.empty()) return {};
    const MergePlan& plan = plans.front();
    FUGO_ASSIGN(const FileRow made,
                merge_files(source_.place, plan, source_.take_numbers(1), source_.stop));
    add(made);
    {
      const std::lock_guard lock(mutex_);
      std::erase_if(files_, [&](const FileRow& row) {
        return std::any_of(plan.inputs.begin(), plan.inputs.end(),
                           [&](const FileRow& input) { return input.number == row.number; });
      });
    }
    remove_bulk_files(source_.place, plan.inputs);
  }
}

}  // namespace fugo::keystore
