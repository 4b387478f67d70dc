#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <cerrno>
#include <charconv>
#include <fstream>
#include <map>
#include <utility>

#include "base/file.h"
#include "daemon/journal/entry_line.h"
#include "daemon/journal/reconcile.h"

namespace fugo::daemon {
namespace {

namespace fs = std::filesystem;

std::string copy_name(std::uint64_t first, std::uint64_t last) {
  return fmt::format("journal-{:012}-{:012}.jsonl", first, last);
}

// numbers_of reads a copy's name; nothing for another file's.
std::optional<std::pair<std::uint64_t, std::uint64_t>> numbers_of(const std::string& name) {
  constexpr std::size_t kFirst = 8, kLast = 21, kDigits = 12;  // places in the name
  std::uint64_t first = 0, last = 0;
  if (name.size() < kLast + kDigits) return std::nullopt;
  std::from_chars(&name[kFirst], &name[kFirst] + kDigits, first);
  std::from_chars(&name[kLast], &name[kLast] + kDigits, last);
  if (copy_name(first, last) != name) return std::nullopt;
  return std::pair(first, last);
}

// next_entry is the number after the folder's last; 0 for an empty one. The last line of the newest
// file must be an entry of this journal.
Result<std::uint64_t> next_entry(const keystore::Ledger& ledger, const fs::path& folder) {
  std::map<std::uint64_t, fs::path> copies;  // by their last entry
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (const auto numbers = numbers_of(entry.path().filename().string()))
      copies[numbers->second] = entry.path();
  if (error) return fail_errno("cannot read the folder", folder.string(), error.value());
  if (copies.empty()) return std::uint64_t{0};
  const auto& [last, file] = *copies.rbegin();
  std::ifstream in(file);
  std::string line, newest;
  while (std::getline(in, line)) newest = std::move(line);
  FUGO_ASSIGN(const auto copied, parse_entry_line(newest, file.string()));
  FUGO_ASSIGN(const auto own, ledger.journal(last, 1));
  if (!own.empty() && own.front().sequence == last && own.front().hash == copied.hash)
    return last + 1;
  return fail(ErrorCode::kDamaged,
              fmt::format("its entry {} is not in this ledger's journal", last), file.string(),
              "the ledger was put back to an older state, or went on elsewhere: fugo reconcile "
              "tells what it lacks");
}

// lock_folder keeps two processes from writing one file there, which would spoil a copy for good.
Result<UniqueFd> lock_folder(const fs::path& folder) {
  FUGO_ASSIGN(auto lock, open_file(folder, O_RDONLY | O_DIRECTORY));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) return fail_errno("cannot lock", folder.string(), errno);
  return fail(ErrorCode::kRefused, "another process copies the journal there", folder.string(),
              "wait for it");
}

}  // namespace

Result<JournalCopy> copy_journal(const keystore::Ledger& ledger, const fs::path& folder) {
  JournalCopy copy;
  FUGO_ASSIGN(const auto lock, lock_folder(folder));
  FUGO_ASSIGN(copy.first, next_entry(ledger, folder));
  FUGO_ASSIGN(const auto state, ledger.state());
  if (state.journal_entries == copy.first) return copy;
  const auto temporary = folder / ".journal.tmp";
  FUGO_ASSIGN(const auto out, open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600));
  FUGO_TRY(for_each_entry(ledger, copy.first, [&](const auto& entry) -> Status {
    if (entry.sequence >= state.journal_entries) return {};  // others go on meanwhile
    ++copy.entries;
    return write_all(out.get(), as_bytes(entry_line(entry) + "\n"), temporary);
  }));
  FUGO_TRY(sync_file(out.get(), temporary));
  copy.file = folder / copy_name(copy.first, copy.first + copy.entries - 1);
  FUGO_TRY(rename_durably(temporary, copy.file));
  return copy;
}

}  // namespace fugo::daemon
