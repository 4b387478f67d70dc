#include "daemon/journal/live_copy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>

#include "base/file.h"
#include "daemon/journal/entry_line.h"

namespace fugo::daemon {
namespace {

namespace fs = std::filesystem;

constexpr auto kStops =
    "nothing is committed until every copy can be written; journal.copies names them";
constexpr auto kPutAside =
    "the ledger was put back to an older state, or went on elsewhere: fugo reconcile tells what it "
    "lacks. Keep the file elsewhere, and the next act begins a new one";

// Failing is what failing_copies() tells.
struct Failing {
  std::mutex mutex;
  std::map<fs::path, Error> errors;  // guarded by mutex
};

Failing& failing() {
  static Failing one;
  return one;
}

// tell notes how a copy does: why it cannot be written, or that it can.
void tell(const fs::path& folder, const Error* error) {
  const std::lock_guard lock(failing().mutex);
  failing().errors.erase(folder);
  if (error != nullptr) failing().errors.emplace(folder, *error);
}

// is_failing: a copy that could not be had is waited for once, not by every act.
bool is_failing(const fs::path& folder) {
  const std::lock_guard lock(failing().mutex);
  return failing().errors.contains(folder);
}

// cannot_be_kept says what it means that a copy cannot be written.
Error cannot_be_kept(Error error) {
  error.what = "a copy of the journal cannot be kept: " + error.what;
  if (error.code == ErrorCode::kIo) error.hint = kStops;
  if (error.code == ErrorCode::kDamaged) error.hint = kPutAside;
  return error;
}

// Tail is where a copy ends.
struct Tail {
  std::uint64_t entries = 0;            // in whole lines
  std::array<std::uint8_t, 32> last{};  // hash of the last of them
  std::string torn;                     // a piece of a line behind them: a writer died
};

Result<std::string> read_at(int fd, std::uint64_t from, std::uint64_t bytes, const fs::path& file) {
  std::string text(bytes, '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const auto got =
        ::pread(fd, text.data() + done, text.size() - done, static_cast<off_t>(from + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("cannot read", file.string(), errno);
    if (got == 0) return fail(ErrorCode::kIo, "became shorter", file.string());
    done += static_cast<std::size_t>(got);
  }
  return text;
}

// read_tail looks for the last whole line from the end on.
Result<Tail> read_tail(int fd, const fs::path& file) {
  constexpr std::uint64_t kFirst = 16U << 10U, kMost = 64U << 20U;
  struct stat info {};
  if (::fstat(fd, &info) != 0) return fail_errno("cannot read", file.string(), errno);
  if (!S_ISREG(info.st_mode)) return fail(ErrorCode::kIo, "is not a regular file", file.string());
  const auto size = static_cast<std::uint64_t>(info.st_size);
  Tail tail;
  for (std::uint64_t bytes = std::min(kFirst, size);; bytes = std::min(2 * bytes, size)) {
    FUGO_ASSIGN(auto text, read_at(fd, size - bytes, bytes, file));
    const auto end = text.rfind('\n');
    const auto begin =
        end == 0 || end == std::string::npos ? std::string::npos : text.rfind('\n', end - 1);
    if (end != std::string::npos && (begin != std::string::npos || bytes == size)) {
      tail.torn = text.substr(end + 1);
      text.resize(end);
      const auto line = begin == std::string::npos ? text : text.substr(begin + 1);
      FUGO_ASSIGN(const auto entry, parse_entry_line(line, file.string()));
      tail.entries = entry.sequence + 1;
      tail.last = entry.hash;
      return tail;
    }
    if (bytes == size) {
      tail.torn = std::move(text);
      return tail;
    }
    if (bytes > kMost) return fail(ErrorCode::kDamaged, "is no copy of a journal", file.string());
  }
}

// How long somebody else may hold a copy: whoever can read the file can, and LMDB's lock is held.
// fugo itself holds it for one act or one piece of what was missing.
constexpr std::chrono::seconds kPatience{3}, kAtOnce{0};
constexpr std::uint64_t kMostAtOnce = 10'000;  // entries that are written under one lock

// Opening is what opening a copy has to know: which are open already, since the same file by
// another name would wait for itself, and for how long to wait for others who write it.
class CopyFile;
struct Opening {
  std::span<const CopyFile> held;
  std::chrono::seconds patience = kPatience;
};

// CopyFile is one copy, locked for as long as it lives.
class CopyFile {
 public:
  // open makes the file where there is none.
  static Result<CopyFile> open(const fs::path& folder, const Opening& opening) {
    CopyFile copy;
    copy.folder_ = folder;
    copy.path_ = folder / kLiveCopy;
    FUGO_ASSIGN(copy.fd_,
                open_file(copy.path_, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, 0600));
    struct stat info {};
    if (::fstat(copy.fd_.get(), &info) != 0)
      return fail_errno("cannot read", copy.path_.string(), errno);
    copy.place_ = {info.st_dev, info.st_ino};
    for (const CopyFile& other : opening.held)
      if (other.place_ == copy.place_)
        return fail(ErrorCode::kUsage, "is the same file as " + other.path_.string(),
                    copy.path_.string(), "name each folder once in journal.copies");
    FUGO_TRY(copy.lock(opening.patience));
    FUGO_ASSIGN(copy.tail_, read_tail(copy.fd_.get(), copy.path_));
    if (copy.tail_.entries == 0) FUGO_TRY(sync_directory(folder));
    return copy;
  }

  [[nodiscard]] const Tail& tail() const { return tail_; }
  [[nodiscard]] const fs::path& folder() const { return folder_; }

  // check: kDamaged unless what the copy has is the beginning of a journal of `entries` entries.
  Status check(std::uint64_t entries, const std::array<std::uint8_t, 32>& head,
               const std::function<Result<keystore::JournalEntry>(std::uint64_t)>& read) const {
    if (tail_.entries == 0) return {};
    const auto last = tail_.entries - 1;
    bool same = tail_.entries == entries && tail_.last == head;
    if (tail_.entries < entries) {
      FUGO_ASSIGN(const auto own, read(last));
      same = own.hash == tail_.last;
    }
    if (same) return {};
    return fail(ErrorCode::kDamaged,
                fmt::format("its entry {} is not in this ledger's journal", last), path_.string(),
                kPutAside);
  }

  // add takes the next entry. What a writer that died left of its line is gone on with: nothing
  // that was ever written is taken back.
  Status add(const keystore::JournalEntry& entry) {
    auto line = entry_line(entry) + "\n";
    if (!tail_.torn.empty()) {
      if (!line.starts_with(tail_.torn))
        return fail(ErrorCode::kDamaged,
                    fmt::format("ends with a piece of what is not entry {}", entry.sequence),
                    path_.string(), kPutAside);
      line.erase(0, tail_.torn.size());
      tail_.torn.clear();
    }
    text_ += line;
    return {};
  }

  // reserve finds out now whether there is room. A file system that cannot tell is believed.
  [[nodiscard]] Status reserve() const {
    struct stat info {};
    if (::fstat(fd_.get(), &info) != 0) return fail_errno("cannot read", path_.string(), errno);
    while (::fallocate(fd_.get(), FALLOC_FL_KEEP_SIZE, info.st_size,
                       static_cast<off_t>(text_.size())) != 0) {
      if (errno == EINTR) continue;
      if (errno == EOPNOTSUPP || errno == ENOSYS) break;
      return fail_errno("has no room for the next entry", path_.string(), errno);
    }
    return {};
  }

  // write appends what was added, durably.
  Status write() {
    if (text_.empty()) return {};
    FUGO_TRY(write_all(fd_.get(), as_bytes(std::exchange(text_, {})), path_));
    return sync_file(fd_.get(), path_);
  }

 private:
  [[nodiscard]] Status lock(std::chrono::seconds patience) const {
    constexpr auto kPause = std::chrono::milliseconds(5);
    const auto end = std::chrono::steady_clock::now() + patience;
    while (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) return fail_errno("cannot lock", path_.string(), errno);
      if (std::chrono::steady_clock::now() >= end)
        return fail(ErrorCode::kIo, "another process holds it by flock", path_.string());
      std::this_thread::sleep_for(kPause);
    }
    return {};
  }

  fs::path folder_, path_;
  std::pair<dev_t, ino_t> place_;
  UniqueFd fd_;
  Tail tail_;
  std::string text_;
};

// fill brings a copy up to `entries`; a piece of them at a time.
Status fill(CopyFile& copy, std::uint64_t entries,
            const std::function<Result<keystore::JournalEntry>(std::uint64_t)>& read) {
  constexpr std::uint64_t kPiece = 1000;
  for (auto next = copy.tail().entries; next < entries; ++next) {
    FUGO_ASSIGN(const auto entry, read(next));
    FUGO_TRY(copy.add(entry));
    if ((next + 1) % kPiece == 0) FUGO_TRY(copy.write());
  }
  return copy.write();
}

Result<CopyFile> make_ready(const fs::path& folder, const keystore::JournalAct& act,
                            const Opening& opening) {
  FUGO_ASSIGN(auto copy, CopyFile::open(folder, opening));
  FUGO_TRY(copy.check(act.committed, act.head, act.entry));
  FUGO_TRY(fill(copy, act.committed, act.entry));
  for (const auto& entry : act.added) FUGO_TRY(copy.add(entry));
  FUGO_TRY(copy.reserve());
  return copy;
}

class ReadyCopies final : public keystore::JournalCopier::Ready {
 public:
  void add(CopyFile copy) { copies_.push_back(std::move(copy)); }
  [[nodiscard]] std::span<const CopyFile> held() const { return copies_; }

  void write() override {
    for (auto& copy : copies_) {
      const auto done = copy.write();
      if (done) continue;
      Error error = cannot_be_kept(done.error());
      tell(copy.folder(), &error);
    }
  }

 private:
  std::vector<CopyFile> copies_;
};

}  // namespace

Result<std::unique_ptr<keystore::JournalCopier::Ready>> LiveCopies::prepare(
    const keystore::JournalAct& act) {
  auto ready = std::make_unique<ReadyCopies>();
  // To stop the work must always be possible, and wait for nobody: a copy that cannot take it gets
  // that with the next act.
  const bool stops = std::all_of(act.added.begin(), act.added.end(),
                                 [](const auto& entry) { return entry.act == "freeze"; });
  for (const auto& folder : folders_) {
    const bool at_once = stops || is_failing(folder);
    auto copy = make_ready(folder, act, {ready->held(), at_once ? kAtOnce : kPatience});
    if (copy) {
      ready->add(std::move(*copy));
      tell(folder, nullptr);
      continue;
    }
    Error error = cannot_be_kept(std::move(copy).error());
    tell(folder, &error);
    if (!stops) return tl::unexpected<Error>(std::move(error));
  }
  return std::unique_ptr<Ready>(std::move(ready));
}

std::map<fs::path, Error> failing_copies() {
  const std::lock_guard lock(failing().mutex);
  return failing().errors;
}

Result<CaughtUp> catch_up(const keystore::Ledger& ledger, const fs::path& folder) {
  std::vector<keystore::JournalEntry> page;
  const auto read = [&](std::uint64_t sequence) -> Result<keystore::JournalEntry> {
    constexpr std::uint64_t kPage = 1000;
    if (page.empty() || sequence < page.front().sequence || sequence > page.back().sequence) {
      FUGO_ASSIGN(page, ledger.journal(sequence, kPage));
    }
    if (!page.empty() && page.front().sequence <= sequence)
      return page.at(sequence - page.front().sequence);
    return fail(ErrorCode::kDamaged, fmt::format("entry {} is missing", sequence),
                "ledger, table journal");
  };
  std::optional<CaughtUp> caught;
  for (;;) {
    FUGO_ASSIGN(auto copy, CopyFile::open(folder, {{}, is_failing(folder) ? kAtOnce : kPatience}));
    FUGO_ASSIGN(const auto state, ledger.state());
    FUGO_TRY(copy.check(state.journal_entries, state.journal_head, read));
    const auto first = copy.tail().entries;
    const auto end = std::min(state.journal_entries, first + kMostAtOnce);
    FUGO_TRY(fill(copy, end, read));
    if (!caught) caught = CaughtUp{first, 0};
    caught->entries = end - caught->first;
    if (end == state.journal_entries) return *caught;
  }
}

Status catch_up_all(const keystore::Ledger& ledger, const std::vector<fs::path>& folders) {
  for (const auto& folder : folders) {
    const auto caught = catch_up(ledger, folder);
    if (caught) {
      tell(folder, nullptr);
      continue;
    }
    Error error = cannot_be_kept(caught.error());
    tell(folder, &error);
    return tl::unexpected<Error>(std::move(error));
  }
  return {};
}

Result<std::uint64_t> live_copy_entries(const fs::path& folder) {
  const auto file = folder / kLiveCopy;
  auto fd = open_file(file, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);  // a pipe would wait for a writer
  std::error_code ignored;
  if (!fd && fd.error().native == ENOENT && fs::is_directory(folder, ignored))
    return std::uint64_t{0};
  FUGO_TRY(fd.map([](auto&&) {}));
  FUGO_ASSIGN(const auto tail, read_tail(fd->get(), file));
  return tail.entries;
}

}  // namespace fugo::daemon
