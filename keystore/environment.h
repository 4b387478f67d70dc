// LMDB as an owned object: one environment for each directory and process, transactions by RAII.
#pragma once

#include <lmdb.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/bytes.h"
#include "base/result.h"
#include "keystore/usage.h"

namespace fugo::keystore {

class JournalCopier;

// kMapBytes is the address space set aside for data.mdb: not memory, and not disk.
inline constexpr std::size_t kMapBytes = std::size_t{16} << 30U;
inline constexpr unsigned kMaxReaders = 1024;

// OpenMode says what an environment may do. A process that has a directory open for reading cannot
// have it open for writing beside: close the reader first (the other way round they share).
enum class OpenMode : std::uint8_t {
  kRead,    // data.mdb read-only; lock.mdb must still be writable
  kWrite,   // an existing data.mdb
  kCreate,  // a new data.mdb; the directory exists
};

// lmdb_error is an Error with LMDB's own text: kDamaged for what means a damaged file, kIo for the
// rest. `where` names file or table.
[[nodiscard]] tl::unexpected<Error> lmdb_error(const char* what, int code, std::string where);

// check_file_length compares data.mdb's length with its newest meta page: a mapped file that is
// too short ends the process with SIGBUS. kDamaged when it is, or is no LMDB file; kIo with native
// ENOENT when there is none.
[[nodiscard]] Status check_file_length(const std::filesystem::path& data_file);

// Environment is LMDB opened on a directory. Thread-safe.
class Environment {
 public:
  // open gives the process's one environment of this directory, opening it where need be.
  [[nodiscard]] static Result<std::shared_ptr<Environment>> open(
      const std::filesystem::path& directory, OpenMode mode);
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  [[nodiscard]] MDB_env* handle() const { return env_; }
  [[nodiscard]] MDB_dbi dbi() const { return dbi_; }
  [[nodiscard]] bool writable() const { return writable_; }
  [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }
  // last_transaction is the id of the newest write transaction, of any process, that a reader who
  // begins now is sure to see.
  [[nodiscard]] std::uint64_t last_transaction() const;
  [[nodiscard]] const CommitTimes& commit_times() const { return commit_times_; }
  // settle makes the last commit known and durable, whatever became of the process that made it: a
  // writer that is killed after its meta page is written, and before it is synced or announced,
  // leaves readers with the commit before as long as any other process has the file open. For
  // whoever acts upon what is NOT in the database. Waits for a writer; not from within a write.
  [[nodiscard]] Status settle();
  // copier keeps copies of the journal outside: see journal_copier.h. Null: there are none.
  [[nodiscard]] std::shared_ptr<JournalCopier> copier() const;
  void set_copier(std::shared_ptr<JournalCopier> copier);

 private:
  friend class ReadTransaction;
  friend class WriteTransaction;
  Environment() = default;
  [[nodiscard]] Status set_up(OpenMode mode);
  [[nodiscard]] Status share_files() const;
  // After a commit that failed, LMDB refuses all further work with MDB_PANIC until it is opened
  // anew: begin_error then tells what had failed first.
  [[nodiscard]] Status commit(MDB_txn* txn);
  [[nodiscard]] tl::unexpected<Error> begin_error(const char* what, int code) const;

  std::filesystem::path directory_;
  MDB_env* env_ = nullptr;
  MDB_dbi dbi_ = 0;
  bool writable_ = false;
  // The thread that has a write transaction: LMDB would wait for itself for ever.
  std::atomic<std::thread::id> writer_{};
  mutable std::mutex failure_mutex_;
  CommitTimes commit_times_;
  mutable std::atomic<std::uint64_t> given_{0};  // the newest transaction that a reader was given
  std::optional<Error> failure_;  // of the first commit that failed; guarded by failure_mutex_
  mutable std::mutex copier_mutex_;
  std::shared_ptr<JournalCopier> copier_;  // guarded by copier_mutex_
};

// Transaction reads; its views of values are good until it ends. Belongs to one thread at a time.
class Transaction {
 public:
  virtual ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  // get finds the value of a key, or nothing.
  [[nodiscard]] Result<std::optional<ByteView>> get(ByteView key) const;
  // scan visits, in order, each key that begins with `prefix` and is not less than `from` (empty:
  // all). `visit` answers whether to go on; it must not change the database.
  using Visit = std::function<Result<bool>(ByteView key, ByteView value)>;
  [[nodiscard]] Status scan(ByteView prefix, ByteView from, const Visit& visit) const;

 protected:
  explicit Transaction(std::shared_ptr<Environment> environment)
      : environment_(std::move(environment)) {}
  std::shared_ptr<Environment> environment_;
  MDB_txn* txn_ = nullptr;
};

// ReadTransaction sees the last commit before it began. Keep it short: pages that it can see are
// not used again, and the file grows.
class ReadTransaction : public Transaction {
 public:
  [[nodiscard]] static Result<std::unique_ptr<ReadTransaction>> begin(
      std::shared_ptr<Environment> environment);

 private:
  using Transaction::Transaction;
};

// WriteTransaction excludes every other writer, of all processes. Nothing is applied before
// commit(); it begins, works and ends on one thread.
class WriteTransaction : public Transaction {
 public:
  // begin waits for the other writers. kInternal when this thread has a write transaction already.
  [[nodiscard]] static Result<std::unique_ptr<WriteTransaction>> begin(
      std::shared_ptr<Environment> environment);
  ~WriteTransaction() override;

  [[nodiscard]] Status put(ByteView key, ByteView value);
  // erase removes a key; kInternal when it is not there.
  [[nodiscard]] Status erase(ByteView key);
  // make_room_for_all: before every row is written anew. See grow_ahead.
  [[nodiscard]] Status make_room_for_all();
  // commit makes everything durable. After an error it is unknown whether it was applied: the next
  // open tells.
  [[nodiscard]] Status commit();

 private:
  using Transaction::Transaction;
  // grow_ahead keeps the file longer than this transaction can become: by `ahead` bytes, and by
  // `times` what is in use.
  [[nodiscard]] Status grow_ahead(std::uint64_t ahead, std::uint64_t times);
  void release();
};

}  // namespace fugo::keystore
