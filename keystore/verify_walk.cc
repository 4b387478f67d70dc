// The walk over LMDB in a child process.
#include <fcntl.h>
#include <lmdb.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string>

#include "keystore/environment.h"
#include "keystore/verify_tables.h"

namespace fugo::keystore {
namespace {

// What the child's exit code says.
// From kErrno on: the system's error, why it could not be opened.
enum Outcome : int { kSound = 0, kLmdbError = 10, kWrongCount = 11, kNotOpened = 12, kErrno = 100 };

// read_all touches each byte, so that a page which is not there is met here.
unsigned read_all(const MDB_val& value) {
  const auto* bytes = static_cast<const volatile std::uint8_t*>(value.mv_data);
  unsigned sum = 0;
  for (std::size_t i = 0; i < value.mv_size; ++i) sum += bytes[i];
  return sum;
}

int walk(MDB_env* env) {
  MDB_txn* txn = nullptr;
  MDB_dbi dbi = 0;
  MDB_cursor* cursor = nullptr;
  MDB_stat stat{};
  if (::mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn) != 0 ||
      ::mdb_dbi_open(txn, nullptr, 0, &dbi) != 0 || ::mdb_stat(txn, dbi, &stat) != 0 ||
      ::mdb_cursor_open(txn, dbi, &cursor) != 0)
    return kLmdbError;
  std::size_t count = 0;
  MDB_val key{}, value{};
  int code = ::mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
  for (; code == 0; code = ::mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
    read_all(key);
    read_all(value);
    if (++count > stat.ms_entries) return kWrongCount;  // a loop of pages would have no end
  }
  if (code != MDB_NOTFOUND) return kLmdbError;
  return count == stat.ms_entries ? kSound : kWrongCount;
}

// child_main never returns, takes no lock of ours and calls nothing but LMDB. The parent's
// environment, which a fork must not use, is left alone.
[[noreturn]] void child_main(const std::filesystem::path& directory, unsigned limit_in_seconds) {
  for (const int number : {SIGSEGV, SIGBUS, SIGABRT, SIGALRM, SIGFPE, SIGILL})
    ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  const int null = ::open("/dev/null", O_WRONLY);
  if (null >= 0) ::dup2(null, STDERR_FILENO);  // LMDB's failed assertions
  ::alarm(limit_in_seconds);
  MDB_env* env = nullptr;
  if (::mdb_env_create(&env) != 0 || ::mdb_env_set_mapsize(env, kMapBytes) != 0 ||
      ::mdb_env_set_maxreaders(env, kMaxReaders) != 0)
    ::_exit(kNotOpened);
  const int code = ::mdb_env_open(env, directory.c_str(), MDB_RDONLY | MDB_NOTLS, 0600);
  if (code != 0) ::_exit(code < 0 ? kLmdbError : code < 155 ? kErrno + code : kNotOpened);
  ::_exit(walk(env));
}

}  // namespace

Status walk_in_child(const std::filesystem::path& directory, std::chrono::seconds limit) {
  const auto file = directory / "data.mdb";
  FUGO_TRY(check_file_length(file));
  const auto seconds = static_cast<unsigned>(std::max<std::int64_t>(1, limit.count()));
  const pid_t child = ::fork();
  if (child < 0) return fail_errno("cannot start a process to read the database", file, errno);
  if (child == 0) child_main(directory, seconds);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return fail_errno("cannot wait for the reading process", file, errno);
  const auto damaged = [&](std::string what) {
    return fail(ErrorCode::kDamaged, std::move(what), file.string(), "restore a backup");
  };
  if (WIFSIGNALED(status)) {
    if (WTERMSIG(status) == SIGALRM) return damaged("reading the database took too long");
    return damaged("reading the database ended with signal " + std::to_string(WTERMSIG(status)));
  }
  if (WEXITSTATUS(status) >= kErrno) {
    Error error =
        fail_errno("cannot open the database", file.string(), WEXITSTATUS(status) - kErrno).value();
    error.hint = "data.mdb must be readable and lock.mdb writable by this user";
    return tl::unexpected<Error>(std::move(error));
  }
  switch (WEXITSTATUS(status)) {
    case kSound:
      return {};
    case kWrongCount:
      return damaged("the database holds more or fewer rows than it says");
    case kNotOpened:
      return fail(ErrorCode::kIo, "the database cannot be opened", file.string(),
                  "data.mdb must be readable and lock.mdb writable by this user");
    default:
      return damaged("LMDB finds the database damaged");
  }
}

}  // namespace fugo::keystore
