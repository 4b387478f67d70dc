#include "keystore/ledger.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/file.h"
#include "base/group_share.h"
#include "keystore/ledger_impl.h"
#include "keystore/standby.h"
#include "keystore/update.h"

namespace fugo::keystore {
namespace {

namespace fs = std::filesystem;

Status write_pid(int fd, const fs::path& path) {
  if (::ftruncate(fd, 0) != 0) return fail_errno("cannot write", path.string(), errno);
  return write_all(fd, as_bytes(std::to_string(::getpid()) + "\n"), path);
}

Status check_empty(const fs::path& directory) {
  std::error_code error;
  const bool empty = fs::is_empty(directory, error);
  if (error) return fail_errno("cannot read the directory", directory.string(), error.value());
  if (!empty)
    return fail(ErrorCode::kRefused, "the directory is in use", directory.string(),
                "give an empty one; what a broken-off init left there may be deleted");
  return {};
}

// make_ledger does the work of create; what it makes on the way is removed by create on failure.
Status make_ledger(const fs::path& directory, const LedgerHeader& header,
                   const SecretBytes<32>& data_key, const std::function<Status(Update&)>& fill) {
  FUGO_TRY(make_directory(directory / kBulkDirectory));
  FUGO_TRY(share_as_parent(directory / kBulkDirectory));
  FUGO_ASSIGN(auto stored, encode_header(header));
  FUGO_ASSIGN(auto keys, LedgerKeys::derive(data_key, header.ledger_id));
  FUGO_ASSIGN(auto environment, Environment::open(directory, OpenMode::kCreate));
  const auto sealer = std::make_shared<const Sealer>(std::move(keys), stored);
  FUGO_ASSIGN(auto update, SmallRowUpdate::begin_empty(environment, sealer, stored));
  FUGO_TRY(fill(*update));
  FUGO_TRY(update->commit());
  // LMDB synced the content of data.mdb; the names are synced here.
  FUGO_TRY(sync_directory(directory / kBulkDirectory));
  FUGO_TRY(sync_directory(directory));
  const auto parent = fs::absolute(directory).lexically_normal().parent_path();
  return sync_directory(parent);
}

void remove_ledger(const fs::path& directory) {
  for (const char* name : {kDataFile, kLockFile, kWriterLock}) ::unlink((directory / name).c_str());
  ::rmdir((directory / kBulkDirectory).c_str());
}

}  // namespace

Result<UniqueFd> take_lock(const fs::path& directory, const char* name, const std::string& busy) {
  const fs::path path = directory / name;
  FUGO_ASSIGN(UniqueFd fd, open_file(path, O_RDWR | O_CREAT, 0600));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail_errno("cannot lock", path.string(), errno);
    std::array<char, 16> holder{};
    const ssize_t length = ::pread(fd.get(), holder.data(), holder.size() - 1, 0);
    std::string pid(holder.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
    if (!pid.empty() && pid.back() == '\n') pid.pop_back();
    return fail(ErrorCode::kRefused,
                busy + (pid.empty() ? std::string() : " (process " + pid + ")"), directory.string(),
                "wait until it has finished, or stop it");
  }
  FUGO_TRY(write_pid(fd.get(), path));
  return fd;
}

Result<UniqueFd> take_writer_lock(const fs::path& directory) {
  return take_lock(directory, kWriterLock, "another process has the ledger open for writing");
}

Result<UniqueFd> take_keys_lock(const fs::path& directory) {
  return take_lock(directory, "keys.lock", "another process makes or destroys keys");
}

Result<StoredHeader> load_header(const std::shared_ptr<Environment>& environment) {
  FUGO_ASSIGN(const auto transaction, ReadTransaction::begin(environment));
  FUGO_ASSIGN(const auto stored, transaction->get(RowKey(Table::kHeader).bytes()));
  if (!stored) {
    FUGO_ASSIGN(const auto state, transaction->get(RowKey(Table::kState).bytes()));
    if (state)
      return fail(ErrorCode::kDamaged, "the ledger's state is there, and its header is not",
                  "header of " + environment->directory().string(), "restore a backup");
    return fail(ErrorCode::kRefused, "there is no ledger in this database",
                environment->directory().string(),
                "an init was broken off here, or it is another program's; init a new directory");
  }
  StoredHeader header;
  header.stored.assign(stored->begin(), stored->end());
  FUGO_ASSIGN(header.header, decode_header(header.stored));
  return header;
}

Status Ledger::create(const fs::path& directory, const LedgerHeader& header,
                      const SecretBytes<32>& data_key, const std::function<Status(Update&)>& fill) {
  if (header.schema != kSchemaVersion)
    return fail(ErrorCode::kInternal, "a ledger of another schema cannot be made", "create");
  FUGO_TRY(check_empty(directory));
  // Whoever makes this file owns the directory: of two at once, one fails.
  FUGO_ASSIGN(const UniqueFd mark,
              open_file(directory / kWriterLock, O_RDWR | O_CREAT | O_EXCL, 0600));
  auto made = make_ledger(directory, header, data_key, fill);
  if (!made) remove_ledger(directory);
  return made;
}

Result<LedgerHeader> Ledger::read_header(const fs::path& directory) {
  FUGO_ASSIGN(const auto environment, Environment::open(directory, OpenMode::kRead));
  FUGO_ASSIGN(StoredHeader stored, load_header(environment));
  return std::move(stored.header);
}

Result<std::unique_ptr<Ledger>> Ledger::open(const fs::path& directory, Access access,
                                             const SecretBytes<32>& data_key) {
  LedgerImpl::Parts parts;
  parts.directory = directory;
  parts.access = access;
  const bool reads = access == Access::kRead;
  if (!reads) FUGO_TRY(check_serves(directory));
  FUGO_ASSIGN(parts.environment,
              Environment::open(directory, reads ? OpenMode::kRead : OpenMode::kWrite));
  if (access == Access::kWrite) {
    // The schema is looked at before anything is written, even the lock.
    FUGO_TRY(load_header(parts.environment).map([](auto&&) {}));
    FUGO_ASSIGN(UniqueFd lock, take_writer_lock(directory));
    parts.writer_lock = std::make_shared<const UniqueFd>(std::move(lock));
  }
  return LedgerImpl::open(std::move(parts), data_key);
}

Result<std::unique_ptr<Ledger>> LedgerImpl::open(Parts parts, const SecretBytes<32>& data_key) {
  const bool writes = parts.access == Access::kWrite;
  if (writes) FUGO_TRY(parts.environment->settle());  // files that no row names are removed below
  FUGO_ASSIGN(StoredHeader stored, load_header(parts.environment));
  FUGO_ASSIGN(parts.keys, LedgerKeys::derive(data_key, stored.header.ledger_id));
  parts.header = std::move(stored.header);
  parts.sealer = std::make_shared<const Sealer>(parts.keys, std::move(stored.stored));
  {
    FUGO_ASSIGN(const auto transaction, begin_reading(parts.environment, *parts.sealer));
    auto state = read_state(*transaction, *parts.sealer);
    if (!state) {
      Error error = std::move(state).error();
      error.what += ": either the data key is of another ledger, or header or state were changed";
      return tl::unexpected(std::move(error));
    }
    parts.next_file = state->next_file;
  }
  FUGO_ASSIGN(parts.content_digest, ContentDigest::create(parts.keys));
  auto ledger = std::make_unique<LedgerImpl>(std::move(parts));
  if (writes) FUGO_TRY(ledger->remove_orphans());
  return std::unique_ptr<Ledger>(std::move(ledger));
}

Result<std::unique_ptr<Ledger>> LedgerImpl::open_again(const SecretBytes<32>& data_key) {
  merger_.give_up();  // what it writes would be taken for orphans
  Parts parts;
  parts.directory = parts_.directory;
  parts.access = parts_.access;
  parts.writer_lock = parts_.writer_lock;
  parts.environment = parts_.environment;
  return open(std::move(parts), data_key);
}

}  // namespace fugo::keystore
