// Preloaded into a process under test: counts its durable steps (calls that change what a disk
// holds) on files under one directory, and at a step of choice kills it or makes the call fail.
// The settings are environment variables; run_with_faults.h sets them:
//   FUGO_FAULT_UNDER    only files whose path begins with this count (a real, absolute path)
//   FUGO_FAULT_EXCEPT   paths separated by ':', below which nothing counts
//   FUGO_FAULT_COUNTERS a file of struct counters, mapped: survives SIGKILL, shared by children
//   FUGO_FAULT_LOG      a file that gets one line a step
//   FUGO_FAULT_WRITES   1: every write is a step, not only those to data.mdb
//   FUGO_FAULT_KILL_AT, FUGO_FAULT_KILL_AFTER=1   SIGKILL at this step, before or after the call
//   FUGO_FAULT_FAIL_AT, FUGO_FAULT_ERRNO, FUGO_FAULT_FOREVER=1   the N-th call that can fail with
//                       this error number does so; all later ones too
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { kWrite = 1, kResize = 2, kName = 4, kSync = 8, kRemove = 16 };

struct counters {
  atomic_ulong steps;     // what FUGO_FAULT_KILL_AT counts
  atomic_ulong failable;  // what FUGO_FAULT_FAIL_AT counts
};

static struct counters own_counters;
static struct counters *counters = &own_counters;
static char under[PATH_MAX];
static const char *except = "";
static bool all_writes, kill_after, fail_forever;
static unsigned long kill_at, fail_at;
static int fail_errno, log_fd = -1;
static unsigned failing_kinds;

static unsigned long number(const char *name) {
  const char *value = getenv(name);
  return value == NULL ? 0 : strtoul(value, NULL, 10);
}

__attribute__((constructor)) static void set_up(void) {
  const char *value = getenv("FUGO_FAULT_EXCEPT");
  if (value != NULL) except = value;
  all_writes = number("FUGO_FAULT_WRITES") != 0;
  kill_at = number("FUGO_FAULT_KILL_AT");
  kill_after = number("FUGO_FAULT_KILL_AFTER") != 0;
  fail_at = number("FUGO_FAULT_FAIL_AT");
  fail_forever = number("FUGO_FAULT_FOREVER") != 0;
  fail_errno = (int)number("FUGO_FAULT_ERRNO");
  // Which calls a disk can refuse in this way.
  if (fail_errno == ENOSPC || fail_errno == EDQUOT) failing_kinds = kWrite | kResize | kName;
  if (fail_errno == EIO) failing_kinds = kWrite | kResize | kName | kSync;
  if (fail_errno == EROFS) failing_kinds = kWrite | kResize | kName | kRemove;
  value = getenv("FUGO_FAULT_COUNTERS");
  if (value != NULL) {
    const int fd = (int)syscall(SYS_openat, AT_FDCWD, value, O_RDWR | O_CLOEXEC);
    void *map = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || map == MAP_FAILED) abort();
    close(fd);
    counters = map;
  }
  value = getenv("FUGO_FAULT_LOG");
  if (value != NULL) {
    const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, value, flags, 0600);
  }
  value = getenv("FUGO_FAULT_UNDER");  // last: from here on calls count
  if (value != NULL && strlen(value) < sizeof under) strcpy(under, value);
}

static bool below(const char *path, const char *prefix, size_t length) {
  return length > 0 && strncmp(path, prefix, length) == 0 &&
         (path[length] == '\0' || path[length] == '/' || prefix[length - 1] == '/');
}

static bool counts(const char *path) {
  if (!below(path, under, strlen(under))) return false;
  for (const char *at = except; *at != '\0';) {
    const size_t length = strcspn(at, ":");
    if (below(path, at, length)) return false;
    at += length + (at[length] == ':');
  }
  return true;
}

// path_of_fd and path_of_name write an absolute path of the file, or an empty string.
static void path_of_fd(int fd, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, path, PATH_MAX - 1);
  path[size < 0 ? 0 : size] = '\0';
}

static void path_of_name(int directory, const char *name, char *path) {
  char joined[2 * PATH_MAX], parent[PATH_MAX];
  joined[0] = '\0';
  if (name[0] != '/') {
    if (directory == AT_FDCWD) {
      if (getcwd(joined, PATH_MAX) == NULL) joined[0] = '\0';
    } else {
      path_of_fd(directory, joined);
    }
    strcat(joined, "/");
  }
  strncat(joined, name, PATH_MAX - 1);
  char *last = strrchr(joined, '/');
  *last = '\0';
  path[0] = '\0';
  if (realpath(joined[0] == '\0' ? "/" : joined, parent) != NULL &&
      snprintf(path, PATH_MAX, "%s/%s", parent, last + 1) >= PATH_MAX)
    path[0] = '\0';
}

static void die(void) {
  syscall(SYS_kill, getpid(), SIGKILL);
  for (;;) pause();
}

// before counts a call that is about to be made. True: it is not made, and fails with errno.
static bool before(enum kind kind, const char *call, const char *path, bool *kill_it) {
  *kill_it = false;
  if (!counts(path)) return false;
  const char *base = strrchr(path, '/');
  if (kind != kWrite || all_writes || (base != NULL && strcmp(base, "/data.mdb") == 0)) {
    const unsigned long step = atomic_fetch_add(&counters->steps, 1) + 1;
    if (log_fd >= 0) {
      char line[PATH_MAX + 64];
      const int size = snprintf(line, sizeof line, "%lu %s %s\n", step, call, path);
      syscall(SYS_write, log_fd, line, (size_t)size);
    }
    if (step == kill_at && !kill_after) die();
    *kill_it = step == kill_at;
  }
  if ((failing_kinds & kind) == 0) return false;
  const unsigned long turn = atomic_fetch_add(&counters->failable, 1) + 1;
  if (fail_at == 0 || turn < fail_at || (turn > fail_at && !fail_forever)) return false;
  errno = fail_errno;
  return true;
}

#define REAL(type, ...)             \
  static type (*real)(__VA_ARGS__); \
  if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, __func__)

// GUARDED ends a wrapper: counts, makes the call, and dies after it if that was asked for.
#define GUARDED(kind, type, failed, expression)              \
  bool kill_it;                                              \
  if (before(kind, __func__, path, &kill_it)) return failed; \
  type const result = expression;                            \
  if (kill_it) die();                                        \
  return result

#define ON_FD(kind, type, name, fd, parameters, arguments) \
  type name parameters {                                   \
    REAL(type, ON_FD_TYPES_##name);                        \
    char path[PATH_MAX];                                   \
    path_of_fd(fd, path);                                  \
    GUARDED(kind, type, -1, real arguments);               \
  }

#define ON_FD_TYPES_fsync int
#define ON_FD_TYPES_fdatasync int
#define ON_FD_TYPES_syncfs int
#define ON_FD_TYPES_sync_file_range int, off64_t, off64_t, unsigned
#define ON_FD_TYPES_ftruncate int, off_t
#define ON_FD_TYPES_ftruncate64 int, off64_t
#define ON_FD_TYPES_fallocate int, int, off_t, off_t
#define ON_FD_TYPES_fallocate64 int, int, off64_t, off64_t
#define ON_FD_TYPES_write int, const void *, size_t
#define ON_FD_TYPES_writev int, const struct iovec *, int
#define ON_FD_TYPES_pwrite int, const void *, size_t, off_t
#define ON_FD_TYPES_pwrite64 int, const void *, size_t, off64_t
#define ON_FD_TYPES_pwritev int, const struct iovec *, int, off_t
#define ON_FD_TYPES_pwritev64 int, const struct iovec *, int, off64_t

ON_FD(kSync, int, fsync, fd, (int fd), (fd))
ON_FD(kSync, int, fdatasync, fd, (int fd), (fd))
ON_FD(kSync, int, syncfs, fd, (int fd), (fd))
ON_FD(kSync, int, sync_file_range, fd, (int fd, off64_t at, off64_t size, unsigned flags),
      (fd, at, size, flags))
ON_FD(kResize, int, ftruncate, fd, (int fd, off_t size), (fd, size))
ON_FD(kResize, int, ftruncate64, fd, (int fd, off64_t size), (fd, size))
ON_FD(kResize, int, fallocate, fd, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
ON_FD(kResize, int, fallocate64, fd, (int fd, int mode, off64_t at, off64_t size),
      (fd, mode, at, size))
ON_FD(kWrite, ssize_t, write, fd, (int fd, const void *data, size_t size), (fd, data, size))
ON_FD(kWrite, ssize_t, writev, fd, (int fd, const struct iovec *parts, int count),
      (fd, parts, count))
ON_FD(kWrite, ssize_t, pwrite, fd, (int fd, const void *data, size_t size, off_t at),
      (fd, data, size, at))
ON_FD(kWrite, ssize_t, pwrite64, fd, (int fd, const void *data, size_t size, off64_t at),
      (fd, data, size, at))
ON_FD(kWrite, ssize_t, pwritev, fd, (int fd, const struct iovec *parts, int count, off_t at),
      (fd, parts, count, at))
ON_FD(kWrite, ssize_t, pwritev64, fd, (int fd, const struct iovec *parts, int count, off64_t at),
      (fd, parts, count, at))

// msync counts whatever file is mapped there.
int msync(void *data, size_t size, int flags) {
  REAL(int, void *, size_t, int);
  const char *path = under;
  GUARDED(kSync, int, -1, real(data, size, flags));
}

int rename(const char *from, const char *to) {
  REAL(int, const char *, const char *);
  char path[PATH_MAX];
  path_of_name(AT_FDCWD, to, path);
  GUARDED(kName, int, -1, real(from, to));
}

int renameat(int from_fd, const char *from, int to_fd, const char *to) {
  REAL(int, int, const char *, int, const char *);
  char path[PATH_MAX];
  path_of_name(to_fd, to, path);
  GUARDED(kName, int, -1, real(from_fd, from, to_fd, to));
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags) {
  REAL(int, int, const char *, int, const char *, unsigned);
  char path[PATH_MAX];
  path_of_name(to_fd, to, path);
  GUARDED(kName, int, -1, real(from_fd, from, to_fd, to, flags));
}

int link(const char *from, const char *to) {
  REAL(int, const char *, const char *);
  char path[PATH_MAX];
  path_of_name(AT_FDCWD, to, path);
  GUARDED(kName, int, -1, real(from, to));
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) {
  REAL(int, int, const char *, int, const char *, int);
  char path[PATH_MAX];
  path_of_name(to_fd, to, path);
  GUARDED(kName, int, -1, real(from_fd, from, to_fd, to, flags));
}

int symlink(const char *text, const char *name) {
  REAL(int, const char *, const char *);
  char path[PATH_MAX];
  path_of_name(AT_FDCWD, name, path);
  GUARDED(kName, int, -1, real(text, name));
}

#define ON_NAME(kind, name, parameters, types, directory, file, arguments) \
  int name parameters {                                                    \
    REAL(int, types);                                                      \
    char path[PATH_MAX];                                                   \
    path_of_name(directory, file, path);                                   \
    GUARDED(kind, int, -1, real arguments);                                \
  }
#define TYPES(...) __VA_ARGS__

ON_NAME(kName, mkdir, (const char *name, mode_t mode), TYPES(const char *, mode_t), AT_FDCWD, name,
        (name, mode))
ON_NAME(kName, mkdirat, (int fd, const char *name, mode_t mode), TYPES(int, const char *, mode_t),
        fd, name, (fd, name, mode))
ON_NAME(kRemove, unlink, (const char *name), TYPES(const char *), AT_FDCWD, name, (name))
ON_NAME(kRemove, unlinkat, (int fd, const char *name, int flags), TYPES(int, const char *, int), fd,
        name, (fd, name, flags))
ON_NAME(kRemove, rmdir, (const char *name), TYPES(const char *), AT_FDCWD, name, (name))
ON_NAME(kRemove, remove, (const char *name), TYPES(const char *), AT_FDCWD, name, (name))
ON_NAME(kResize, truncate, (const char *name, off_t size), TYPES(const char *, off_t), AT_FDCWD,
        name, (name, size))
ON_NAME(kResize, truncate64, (const char *name, off64_t size), TYPES(const char *, off64_t),
        AT_FDCWD, name, (name, size))

// An open is a step when it makes a file or empties one; otherwise path stays empty.
static void path_of_open(int directory, const char *name, int flags, char *path) {
  path[0] = '\0';
  const bool makes = (flags & O_TMPFILE) == O_TMPFILE || (flags & O_TRUNC) != 0 ||
                     ((flags & O_CREAT) != 0 && syscall(SYS_faccessat, directory, name, F_OK) != 0);
  if (makes) path_of_name(directory, name, path);
}

#define MODE_OF(last)                         \
  mode_t mode = 0;                            \
  if ((flags & (O_CREAT | O_TMPFILE)) != 0) { \
    va_list list;                             \
    va_start(list, last);                     \
    mode = va_arg(list, mode_t);              \
    va_end(list);                             \
  }

#define OPEN(name)                                    \
  int name(const char *file, int flags, ...) {        \
    REAL(int, const char *, int, ...);                \
    MODE_OF(flags)                                    \
    char path[PATH_MAX];                              \
    path_of_open(AT_FDCWD, file, flags, path);        \
    GUARDED(kName, int, -1, real(file, flags, mode)); \
  }
#define OPENAT(name)                                             \
  int name(int directory, const char *file, int flags, ...) {    \
    REAL(int, int, const char *, int, ...);                      \
    MODE_OF(flags)                                               \
    char path[PATH_MAX];                                         \
    path_of_open(directory, file, flags, path);                  \
    GUARDED(kName, int, -1, real(directory, file, flags, mode)); \
  }
#define FOPEN(name)                                                                 \
  FILE *name(const char *file, const char *how) {                                   \
    REAL(FILE *, const char *, const char *);                                       \
    char path[PATH_MAX];                                                            \
    const int flags = how[0] == 'w' ? O_TRUNC : how[0] == 'a' ? O_CREAT : O_RDONLY; \
    path_of_open(AT_FDCWD, file, flags, path);                                      \
    GUARDED(kName, FILE *, NULL, real(file, how));                                  \
  }

// clang-format off: one function a line
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
FOPEN(fopen)
FOPEN(fopen64)
// clang-format on
