// What interpose_test.cc runs: one call of each kind in the directory that it is given. Says each
// one that was carried out, and stops with exit code 1 at the first that fails.
#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace {

bool done(const char* what, bool ok) {
  if (!ok) {
    std::printf("%s: %s\n", what, strerrorname_np(errno));
    return false;
  }
  std::printf("%s\n", what);
  std::fflush(stdout);
  return true;
}

bool all() {
  const int directory = ::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);  // not a step
  int data = -1, file = -1;
  std::error_code error;  // of the library's own function, which leaves errno as it is
  iovec part{const_cast<char*>("abc"), 3};
  return done("mkdir", ::mkdir("d", 0700) == 0) &&
         done("open", (file = ::open("d/f", O_RDWR | O_CREAT | O_CLOEXEC, 0600)) >= 0) &&
         done("write", ::write(file, "abc", 3) == 3) && done("fsync", ::fsync(file) == 0) &&
         done("openat64", (data = ::openat64(directory, "data.mdb", O_RDWR | O_CREAT | O_CLOEXEC,
                                             0600)) >= 0) &&
         done("pwrite", ::pwrite(data, "abc", 3, 0) == 3) &&
         done("pwritev64", ::pwritev64(data, &part, 1, 3) == 3) &&
         done("fdatasync", ::fdatasync(data) == 0) &&
         done("ftruncate", ::ftruncate(data, 4096) == 0) &&
         done("rename", ::rename("d/f", "d/g") == 0) && done("link", ::link("d/g", "d/h") == 0) &&
         done("unlink", ::unlink("d/g") == 0) &&
         done("remove", std::filesystem::remove("d/h", error)) &&
         done("unlinkat", ::unlinkat(directory, "d", AT_REMOVEDIR) == 0) &&
         done("fsync of directory", ::fsync(directory) == 0);
}

// One LMDB commit, for its own way of writing.
bool commit() {
  MDB_env* environment = nullptr;
  MDB_txn* transaction = nullptr;
  MDB_dbi database = 0;
  MDB_val row{1, const_cast<char*>("k")};
  mdb_env_create(&environment);
  const bool committed = mdb_env_open(environment, ".", 0, 0600) == 0 &&
                         mdb_txn_begin(environment, nullptr, 0, &transaction) == 0 &&
                         mdb_dbi_open(transaction, nullptr, 0, &database) == 0 &&
                         mdb_put(transaction, database, &row, &row, 0) == 0 &&
                         mdb_txn_commit(transaction) == 0;
  std::printf("committed %d\n", committed);
  mdb_env_close(environment);
  return committed;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3 || ::chdir(arguments[2]) != 0) return 2;
  return (std::strcmp(arguments[1], "commit") == 0 ? commit() : all()) ? 0 : 1;
}
