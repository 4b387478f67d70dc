// Real LMDB environments for tests: filled at random, read whole, and their files' bytes changed.
#pragma once

#include <lmdb.h>

#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

namespace fugo::keystore::testing {

// LmdbFile is an environment with four named databases in a directory of its own, which goes with
// it. A step that LMDB refuses ends the test program.
class LmdbFile {
 public:
  explicit LmdbFile(std::uint32_t seed);
  ~LmdbFile();
  LmdbFile(const LmdbFile&) = delete;
  LmdbFile& operator=(const LmdbFile&) = delete;

  // commit puts and deletes about `operations` rows in one transaction.
  void commit(int operations);
  // abort does the same and gives it up.
  void abort(int operations);
  // empty_database deletes everything in one of the named databases.
  void empty_database();
  // copy makes a copy by LMDB itself and returns its data file.
  std::filesystem::path copy(bool compact);
  void close();
  // open opens it again after close().
  void open();

  [[nodiscard]] MDB_env* environment() const { return environment_; }
  [[nodiscard]] std::filesystem::path directory() const { return directory_; }
  [[nodiscard]] std::filesystem::path data() const { return directory_ / "data.mdb"; }
  std::mt19937& random() { return random_; }

 private:
  void change(MDB_txn* transaction, int operations);

  std::filesystem::path directory_;
  std::mt19937 random_;
  MDB_env* environment_ = nullptr;
  std::vector<MDB_dbi> databases_;
  int copies_ = 0;
};

// How a process fared that opened `directory` by LMDB and read every row of every database.
enum class Fate : std::uint8_t { kRead, kRefused, kSignal };
Fate read_all_in_child(const std::filesystem::path& directory);

}  // namespace fugo::keystore::testing
