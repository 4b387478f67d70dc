#include "keystore/environment.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>

#include "base/file.h"
#include "base/group_share.h"
#include "base/per_process.h"

namespace fugo::keystore {
namespace {

// LMDB's file locks belong to the process: a second environment on the same directory would drop
// those of the first when it closes. So the open ones are known here, and an entry stays until its
// environment is closed for certain.
struct Registry {
  std::mutex mutex;
  std::condition_variable closed;
  std::map<std::pair<dev_t, ino_t>, std::pair<Environment*, std::weak_ptr<Environment>>> open;
};
Registry& registry() { return per_process<Registry>(); }

Result<std::pair<dev_t, ino_t>> identity(const std::filesystem::path& directory) {
  struct stat info {};
  if (::stat(directory.c_str(), &info) != 0)
    return fail_errno("cannot open the ledger's directory", directory.string(), errno);
  return std::pair{info.st_dev, info.st_ino};
}

constexpr std::uint64_t kAhead = std::uint64_t{16} << 20U;  // see WriteTransaction::grow_ahead

MDB_val value_of(ByteView view) { return {view.size(), const_cast<std::uint8_t*>(view.data())}; }
ByteView view_of(const MDB_val& value) {
  return {static_cast<const std::uint8_t*>(value.mv_data), value.mv_size};
}

}  // namespace

tl::unexpected<Error> lmdb_error(const char* what, int code, std::string where) {
  const bool damaged = code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_INVALID ||
                       code == MDB_VERSION_MISMATCH || code == MDB_CURSOR_FULL ||
                       code == MDB_INCOMPATIBLE;
  std::string hint;
  if (damaged) hint = "run fugo verify, and restore a backup if it finds damage";
  if (code == EACCES)
    hint =
        "data.mdb must be readable and lock.mdb writable by this account; what changes the ledger "
        "is done by the account that owns it";
  if (code == ENOSPC) hint = "free some disk space and run it again; nothing was applied";
  return fail(damaged ? ErrorCode::kDamaged : ErrorCode::kIo,
              std::string(what) + ": " + ::mdb_strerror(code), std::move(where), std::move(hint),
              static_cast<std::uint64_t>(code > 0 ? code : 0));
}

Result<std::shared_ptr<Environment>> Environment::open(const std::filesystem::path& directory,
                                                       OpenMode mode) {
  FUGO_ASSIGN(const auto id, identity(directory));
  Registry& known = registry();
  std::unique_lock lock(known.mutex);
  for (auto found = known.open.find(id); found != known.open.end(); found = known.open.find(id)) {
    auto shared = found->second.second.lock();
    if (!shared) {  // being closed by another thread
      known.closed.wait(lock);
      continue;
    }
    // Ours may be the last reference by now, and its end takes the registry's mutex.
    lock.unlock();
    if (mode != OpenMode::kRead && !shared->writable_)
      return fail(ErrorCode::kRefused, "this process has the ledger open for reading only",
                  directory.string(), "close it before you open it for writing");
    return shared;
  }
  std::shared_ptr<Environment> made(new Environment);
  made->directory_ = directory;
  // The entry comes first: the destructor of a half-open environment removes it.
  known.open[id] = {made.get(), made};
  auto status = made->set_up(mode);
  if (!status) {
    known.open.erase(id);
    lock.unlock();
    return tl::unexpected(std::move(status).error());
  }
  return made;
}

Status Environment::set_up(OpenMode mode) {
  const auto file = directory_ / "data.mdb";
  if (mode != OpenMode::kCreate) FUGO_TRY(check_file_length(file));
  writable_ = mode != OpenMode::kRead;
  int code = ::mdb_env_create(&env_);
  if (code == 0) code = ::mdb_env_set_mapsize(env_, kMapBytes);
  if (code == 0) code = ::mdb_env_set_maxreaders(env_, kMaxReaders);
  if (code == 0)
    code =
        ::mdb_env_open(env_, directory_.c_str(), MDB_NOTLS | (writable_ ? 0U : MDB_RDONLY), 0600);
  if (code != 0) return lmdb_error("cannot open the ledger's database", code, file.string());
  if (writable_) FUGO_TRY(share_files());
  int dead = 0;
  ::mdb_reader_check(env_, &dead);  // slots of processes that were killed
  MDB_txn* txn = nullptr;
  code = ::mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn);
  if (code == 0) code = ::mdb_dbi_open(txn, nullptr, 0, &dbi_);
  if (txn != nullptr) {
    if (code == 0)
      code = ::mdb_txn_commit(txn);
    else
      ::mdb_txn_abort(txn);
  }
  if (code != 0) return lmdb_error("cannot read the ledger's database", code, file.string());
  return {};
}

// LMDB makes its files with the mode that it is told, less the umask. In a directory that is shared
// the linking group reads the one, and writes the other: every reader enters itself there. Looked
// at each time, since a lock.mdb that was removed is made again. Somebody else's files stay as they
// are.
Status Environment::share_files() const {
  if (!is_shared(directory_)) return {};
  for (const auto& [name, mode] : {std::pair{"data.mdb", 0640U}, std::pair{"lock.mdb", 0660U}}) {
    const auto file = directory_ / name;
    struct stat info {};
    if (::stat(file.c_str(), &info) != 0) return fail_errno("cannot read", file.string(), errno);
    if ((info.st_mode & 0777U) == mode) continue;
    // Not opened: closing any descriptor of lock.mdb would drop LMDB's locks of this process.
    if (::chmod(file.c_str(), mode) != 0 && errno != EPERM)
      return fail_errno("cannot set the mode", file.string(), errno);
  }
  return {};
}

// Holds the mutex for the whole commit, so that a thread that meets MDB_PANIC waits for its cause.
Status Environment::commit(MDB_txn* txn) {
  const std::lock_guard lock(failure_mutex_);
  const auto started = std::chrono::steady_clock::now();
  const int code = ::mdb_txn_commit(txn);
  commit_times_.add(std::chrono::steady_clock::now() - started);
  if (code == 0) return {};
  auto failed = lmdb_error("cannot commit", code, "data.mdb");
  if (!failure_) failure_ = failed.value();
  return failed;
}

tl::unexpected<Error> Environment::begin_error(const char* what, int code) const {
  const std::lock_guard lock(failure_mutex_);
  if (code == MDB_PANIC && failure_) return tl::unexpected<Error>(*failure_);
  return lmdb_error(what, code, "data.mdb");
}

std::uint64_t Environment::last_transaction() const {
  MDB_envinfo info{};
  ::mdb_env_info(env_, &info);  // reads the meta pages in the map; fails for a null pointer only
  // A commit shows in the meta page while that is still being synced, and only then are readers
  // given it: what counts is what a reader was given.
  if (info.me_last_txnid == given_.load()) return info.me_last_txnid;
  MDB_txn* txn = nullptr;
  if (::mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn) != 0) return info.me_last_txnid;
  const std::uint64_t given = ::mdb_txn_id(txn);
  ::mdb_txn_abort(txn);
  given_.store(given);
  return given;
}

// LMDB announces the newest commit again when a writer finds that the last one died with the lock.
Status Environment::settle() {
  if (writer_.load() == std::this_thread::get_id())
    return fail(ErrorCode::kInternal, "this thread has a write transaction already", "data.mdb");
  MDB_txn* txn = nullptr;
  int code = ::mdb_txn_begin(env_, nullptr, 0, &txn);
  if (code != 0) return begin_error("cannot begin to write", code);
  ::mdb_txn_abort(txn);
  code = ::mdb_env_sync(env_, 1);
  if (code != 0) return lmdb_error("cannot sync", code, "data.mdb");
  return {};
}

Environment::~Environment() {
  if (env_ != nullptr) ::mdb_env_close(env_);
  Registry& known = registry();
  {
    const std::lock_guard lock(known.mutex);
    std::erase_if(known.open, [&](const auto& entry) { return entry.second.first == this; });
  }
  known.closed.notify_all();
}

namespace {

struct Meta {
  std::uint32_t magic = 0, version = 0, page_size = 0;
  std::uint64_t last_page = 0, transaction = 0;
};

// LMDB 0.9: page header (16 bytes), then the meta: magic and version (4 bytes each), address and
// map size (8 each), two database records (48 each, the first begins with the page size), last
// page and transaction number (8 each), in the machine's own byte order.
bool read_meta(int fd, std::uint64_t at, Meta& meta) {
  std::array<std::uint8_t, 152> raw{};
  if (::pread(fd, raw.data(), raw.size(), static_cast<off_t>(at)) !=
      static_cast<ssize_t>(raw.size()))
    return false;
  std::memcpy(&meta.magic, &raw[16], 4);
  std::memcpy(&meta.version, &raw[20], 4);
  std::memcpy(&meta.page_size, &raw[40], 4);
  std::memcpy(&meta.last_page, &raw[136], 8);
  std::memcpy(&meta.transaction, &raw[144], 8);
  return true;
}

}  // namespace

Status check_file_length(const std::filesystem::path& data_file) {
  const UniqueFd fd(::open(data_file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && errno == ENOENT)
    return fail(ErrorCode::kIo, "there is no ledger here", data_file.parent_path().string(),
                "check the path, or make one with fugo init", ENOENT);
  if (!fd) return fail_errno("cannot open", data_file.string(), errno);
  const auto damaged = [&](const char* what) {
    return fail(ErrorCode::kDamaged, what, data_file.string(), "restore a backup");
  };
  Meta first, second;
  if (!read_meta(fd.get(), 0, first)) return damaged("is cut off within its meta pages");
  const std::uint64_t page = first.page_size;
  if (page < 512 || page > 65536 || !std::has_single_bit(page))
    return damaged("has a meta page with an impossible page size");
  if (!read_meta(fd.get(), page, second)) return damaged("is cut off within its meta pages");
  for (const Meta& meta : {first, second})
    if (meta.magic != 0xBEEFC0DE || meta.version != 1 || meta.page_size != page)
      return damaged("is not a database of this version of LMDB");
  const Meta& newest = second.transaction > first.transaction ? second : first;
  struct stat info {};  // asked last: a writer beside us makes the file longer, never shorter
  if (::fstat(fd.get(), &info) != 0) return fail_errno("cannot read", data_file.string(), errno);
  const auto length = static_cast<std::uint64_t>(info.st_size);
  if (length % page != 0) return damaged("does not end with a whole page");
  if (newest.last_page >= length / page)
    return damaged("is shorter than its newest meta page says");
  return {};
}

Transaction::~Transaction() {
  if (txn_ != nullptr) ::mdb_txn_abort(txn_);
}

Result<std::optional<ByteView>> Transaction::get(ByteView key) const {
  MDB_val name = value_of(key), value{};
  const int code = ::mdb_get(txn_, environment_->dbi(), &name, &value);
  if (code == MDB_NOTFOUND) return std::optional<ByteView>{};
  if (code != 0) return lmdb_error("cannot read a row", code, "data.mdb");
  return std::optional<ByteView>{view_of(value)};
}

Status Transaction::scan(ByteView prefix, ByteView from, const Visit& visit) const {
  MDB_cursor* raw = nullptr;
  int code = ::mdb_cursor_open(txn_, environment_->dbi(), &raw);
  if (code != 0) return lmdb_error("cannot read rows", code, "data.mdb");
  const std::unique_ptr<MDB_cursor, decltype(&::mdb_cursor_close)> cursor(raw, ::mdb_cursor_close);
  MDB_val key = value_of(from.empty() ? prefix : from), value{};
  const bool everything = prefix.empty() && from.empty();
  code = ::mdb_cursor_get(raw, &key, &value, everything ? MDB_FIRST : MDB_SET_RANGE);
  for (; code == 0; code = ::mdb_cursor_get(raw, &key, &value, MDB_NEXT)) {
    const ByteView found = view_of(key);
    if (found.size() < prefix.size() || !std::equal(prefix.begin(), prefix.end(), found.begin()))
      return {};
    FUGO_ASSIGN(const bool more, visit(found, view_of(value)));
    if (!more) return {};
  }
  if (code != MDB_NOTFOUND) return lmdb_error("cannot read rows", code, "data.mdb");
  return {};
}

Result<std::unique_ptr<ReadTransaction>> ReadTransaction::begin(
    std::shared_ptr<Environment> environment) {
  std::unique_ptr<ReadTransaction> made(new ReadTransaction(std::move(environment)));
  MDB_env* const env = made->environment_->handle();
  int code = ::mdb_txn_begin(env, nullptr, MDB_RDONLY, &made->txn_);
  if (code == MDB_READERS_FULL) {
    int dead = 0;
    ::mdb_reader_check(env, &dead);
    code = ::mdb_txn_begin(env, nullptr, MDB_RDONLY, &made->txn_);
  }
  if (code != 0) return made->environment_->begin_error("cannot begin to read", code);
  return made;
}

Result<std::unique_ptr<WriteTransaction>> WriteTransaction::begin(
    std::shared_ptr<Environment> environment) {
  if (environment->writer_.load() == std::this_thread::get_id())
    return fail(ErrorCode::kInternal, "this thread has a write transaction already", "data.mdb");
  std::unique_ptr<WriteTransaction> made(new WriteTransaction(std::move(environment)));
  // A reader that was killed would keep every page from being used again as long as we are open.
  // What the check itself cannot do, the next one may.
  int dead = 0;
  ::mdb_reader_check(made->environment_->handle(), &dead);
  const int code = ::mdb_txn_begin(made->environment_->handle(), nullptr, 0, &made->txn_);
  if (code != 0) return made->environment_->begin_error("cannot begin to write", code);
  made->environment_->writer_.store(std::this_thread::get_id());
  FUGO_TRY(made->grow_ahead(kAhead, 0));
  return made;
}

// LMDB does not write pages that a transaction took and gave back, so the file may end before the
// last page that the meta page counts, and could not be told from one that was cut off. Keeping it
// longer than any of our transactions grows makes the length a sure sign; the holes cost no disk.
Status WriteTransaction::grow_ahead(std::uint64_t ahead, std::uint64_t times) {
  MDB_envinfo info{};
  MDB_stat stat{};
  int fd = -1;
  struct stat file {};
  int code = ::mdb_env_info(environment_->handle(), &info);
  if (code == 0) code = ::mdb_env_stat(environment_->handle(), &stat);
  if (code == 0) code = ::mdb_env_get_fd(environment_->handle(), &fd);
  if (code != 0) return lmdb_error("cannot read the database's size", code, "data.mdb");
  if (::fstat(fd, &file) != 0) return fail_errno("cannot read", "data.mdb", errno);
  const std::uint64_t used = (info.me_last_pgno + 1) * std::uint64_t{stat.ms_psize};
  ahead += used * times;
  if (static_cast<std::uint64_t>(file.st_size) >= used + ahead / 2) return {};
  const auto wanted = std::min<std::uint64_t>(used + ahead, kMapBytes);
  if (wanted > static_cast<std::uint64_t>(file.st_size) &&
      ::ftruncate(fd, static_cast<off_t>(wanted)) != 0)
    return fail_errno("cannot make the database longer", "data.mdb", errno);
  return {};
}

std::shared_ptr<JournalCopier> Environment::copier() const {
  const std::lock_guard lock(copier_mutex_);
  return copier_;
}

void Environment::set_copier(std::shared_ptr<JournalCopier> copier) {
  const std::lock_guard lock(copier_mutex_);
  copier_ = std::move(copier);
}

Status WriteTransaction::make_room_for_all() { return grow_ahead(kAhead, 4); }

// Before the lock is given up: afterwards another thread may have written its name there.
void WriteTransaction::release() { environment_->writer_.store(std::thread::id{}); }

WriteTransaction::~WriteTransaction() {
  if (txn_ == nullptr) return;
  release();
  ::mdb_txn_abort(std::exchange(txn_, nullptr));
}

Status WriteTransaction::put(ByteView key, ByteView value) {
  MDB_val name = value_of(key), content = value_of(value);
  const int code = ::mdb_put(txn_, environment_->dbi(), &name, &content, 0);
  if (code != 0) return lmdb_error("cannot write a row", code, "data.mdb");
  return {};
}

Status WriteTransaction::erase(ByteView key) {
  MDB_val name = value_of(key);
  const int code = ::mdb_del(txn_, environment_->dbi(), &name, nullptr);
  if (code == MDB_NOTFOUND)
    return fail(ErrorCode::kInternal, "a row to be removed is not there", "data.mdb");
  if (code != 0) return lmdb_error("cannot remove a row", code, "data.mdb");
  return {};
}

Status WriteTransaction::commit() {
  if (txn_ == nullptr)
    return fail(ErrorCode::kInternal, "this transaction has ended already", "data.mdb");
  release();
  return environment_->commit(std::exchange(txn_, nullptr));
}

}  // namespace fugo::keystore
