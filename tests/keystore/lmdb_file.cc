#include "tests/keystore/lmdb_file.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

namespace fugo::keystore::testing {
namespace {

void must(int result) {
  if (result == MDB_SUCCESS) return;
  std::fprintf(stderr, "LMDB: %s\n", mdb_strerror(result));
  std::abort();
}

MDB_env* open_environment(const std::filesystem::path& directory, unsigned flags) {
  MDB_env* environment = nullptr;
  if (mdb_env_create(&environment) != 0) return nullptr;
  mdb_env_set_maxdbs(environment, 16);
  mdb_env_set_mapsize(environment, std::size_t{1} << 30U);
  if (mdb_env_open(environment, directory.c_str(), flags, 0600) == 0) return environment;
  mdb_env_close(environment);
  return nullptr;
}

// sum reads a row's bytes, so that every page is touched.
unsigned sum(const MDB_val& value) {
  unsigned total = 0;
  const auto* bytes = static_cast<const unsigned char*>(value.mv_data);
  for (std::size_t i = 0; i < value.mv_size; ++i) total += bytes[i];
  return total;
}

// read_database adds up what it read in `total`; false when LMDB says that something is wrong.
bool read_database(MDB_txn* transaction, MDB_dbi database, bool of_names, unsigned& total) {
  MDB_cursor* cursor = nullptr;
  if (mdb_cursor_open(transaction, database, &cursor) != 0) return false;
  MDB_val key, value;
  int result = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
  for (; result == 0; result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
    total += sum(key) + sum(value);
    if (!of_names) continue;
    const std::string name(static_cast<const char*>(key.mv_data), key.mv_size);
    MDB_dbi named = 0;
    if (mdb_dbi_open(transaction, name.c_str(), 0, &named) != 0) continue;
    if (!read_database(transaction, named, false, total)) result = MDB_CORRUPTED;
    if (result != 0) break;
  }
  mdb_cursor_close(cursor);
  return result == MDB_NOTFOUND;
}

bool read_all(const std::filesystem::path& directory) {
  MDB_env* environment = open_environment(directory, MDB_RDONLY | MDB_NOLOCK);
  if (environment == nullptr) return false;
  MDB_txn* transaction = nullptr;
  if (mdb_txn_begin(environment, nullptr, MDB_RDONLY, &transaction) != 0) return false;
  MDB_dbi main = 0;
  unsigned total = 0;
  const bool read = mdb_dbi_open(transaction, nullptr, 0, &main) == 0 &&
                    read_database(transaction, main, true, total);
  volatile unsigned keep = total;  // so that reading is not optimised away
  static_cast<void>(keep);
  return read;
}

}  // namespace

LmdbFile::LmdbFile(std::uint32_t seed) : random_(seed) {
  std::string name = (std::filesystem::temp_directory_path() / "fugo-lmdb-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) std::abort();
  directory_ = name;
  open();
}

LmdbFile::~LmdbFile() {
  close();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void LmdbFile::open() {
  environment_ = open_environment(directory_, MDB_NOSYNC | MDB_NOTLS);
  if (environment_ == nullptr) std::abort();
  MDB_txn* transaction = nullptr;
  must(mdb_txn_begin(environment_, nullptr, 0, &transaction));
  databases_.clear();
  for (const char* database : {"jobs", "keys", "agencies", "journal"}) {
    MDB_dbi handle = 0;
    must(mdb_dbi_open(transaction, database, MDB_CREATE, &handle));
    databases_.push_back(handle);
  }
  must(mdb_txn_commit(transaction));
}

void LmdbFile::close() {
  if (environment_ != nullptr) mdb_env_close(environment_);
  environment_ = nullptr;
}

void LmdbFile::change(MDB_txn* transaction, int operations) {
  const std::array<std::size_t, 6> sizes{0, 9, 60, 500, 2100, 9000};
  for (int i = 0; i < operations; ++i) {
    const MDB_dbi database = databases_[random_() % databases_.size()];
    std::string name = std::to_string(random_() % 3000);
    if (random_() % 8 == 0) name += std::string(random_() % 300, 'k');
    std::string bytes(random_() % (sizes[random_() % sizes.size()] + 1), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_());
    MDB_val key{name.size(), name.data()};
    MDB_val value{bytes.size(), bytes.data()};
    if (random_() % 3 == 0) {
      const int result = mdb_del(transaction, database, &key, nullptr);
      if (result != MDB_NOTFOUND) must(result);
    } else {
      must(mdb_put(transaction, database, &key, &value, 0));
    }
  }
}

void LmdbFile::commit(int operations) {
  MDB_txn* transaction = nullptr;
  must(mdb_txn_begin(environment_, nullptr, 0, &transaction));
  change(transaction, operations);
  must(mdb_txn_commit(transaction));
}

void LmdbFile::abort(int operations) {
  MDB_txn* transaction = nullptr;
  must(mdb_txn_begin(environment_, nullptr, 0, &transaction));
  change(transaction, operations);
  mdb_txn_abort(transaction);
}

void LmdbFile::empty_database() {
  MDB_txn* transaction = nullptr;
  must(mdb_txn_begin(environment_, nullptr, 0, &transaction));
  must(mdb_drop(transaction, databases_[random_() % databases_.size()], 0));
  must(mdb_txn_commit(transaction));
}

std::filesystem::path LmdbFile::copy(bool compact) {
  const auto target = directory_ / ("copy-" + std::to_string(copies_++));
  std::filesystem::create_directory(target);
  must(mdb_env_copy2(environment_, target.c_str(), compact ? MDB_CP_COMPACT : 0));
  return target / "data.mdb";
}

Fate read_all_in_child(const std::filesystem::path& directory) {
  const pid_t child = ::fork();
  if (child < 0) std::abort();
  if (child == 0) {
    ::alarm(20);  // endless reading counts as death by a signal
    ::_exit(read_all(directory) ? 0 : 1);
  }
  int status = 0;
  if (::waitpid(child, &status, 0) != child) std::abort();
  if (WIFSIGNALED(status)) return Fate::kSignal;
  return WEXITSTATUS(status) == 0 ? Fate::kRead : Fate::kRefused;
}

}  // namespace fugo::keystore::testing
