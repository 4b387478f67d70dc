#include "base/secret.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <limits>
#include <string>

#include "base/lock_report.h"

namespace fugo {
namespace {

std::atomic<LockMemory> g_policy{LockMemory::kPreferred};
std::atomic<std::size_t> g_unlocked_bytes{0};
std::atomic<std::size_t> g_most_unlocked_bytes{0};

void count_unlocked(std::size_t bytes) {
  const std::size_t now = g_unlocked_bytes += bytes;
  std::size_t most = g_most_unlocked_bytes.load();
  while (now > most && !g_most_unlocked_bytes.compare_exchange_weak(most, now)) {
  }
}

std::size_t round_to_pages(std::size_t size) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return (size + page - 1) / page * page;
}

}  // namespace

void set_lock_policy(LockMemory policy) { g_policy.store(policy); }

std::size_t unlocked_bytes() { return g_unlocked_bytes.load(); }

std::size_t most_unlocked_bytes() { return g_most_unlocked_bytes.load(); }

std::size_t lockable_bytes() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return std::numeric_limits<std::size_t>::max();
  return limit.rlim_cur;
}

Status harden_process() {
  const rlimit none{0, 0};
  if (::setrlimit(RLIMIT_CORE, &none) != 0)
    return fail_errno("cannot switch core dumps off", "setrlimit(RLIMIT_CORE)", errno);
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
    return fail_errno("cannot make the process undumpable", "prctl(PR_SET_DUMPABLE)", errno);
  return {};
}

void wipe(void* memory, std::size_t size_in_bytes) {
  if (size_in_bytes != 0) ::explicit_bzero(memory, size_in_bytes);
}

bool equal_in_constant_time(ByteView a, ByteView b) {
  if (a.size() != b.size()) return false;
  volatile std::uint8_t difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    difference = static_cast<std::uint8_t>(difference | (a[i] ^ b[i]));
  return difference == 0;
}

SecretBuffer::~SecretBuffer() {
  if (data_ == nullptr) return;
  wipe(data_, mapped_);
  if (!locked_) g_unlocked_bytes -= mapped_;
  ::munmap(data_, mapped_);  // unlocks as well
}

SecretBuffer::SecretBuffer(SecretBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapped_(std::exchange(other.mapped_, 0)),
      locked_(std::exchange(other.locked_, false)) {}

SecretBuffer& SecretBuffer::operator=(SecretBuffer&& other) noexcept {
  if (this != &other) {
    SecretBuffer old(std::move(*this));
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    mapped_ = std::exchange(other.mapped_, 0);
    locked_ = std::exchange(other.locked_, false);
  }
  return *this;
}

Result<SecretBuffer> SecretBuffer::create(std::size_t size_in_bytes) {
  SecretBuffer buffer;
  if (size_in_bytes == 0) return buffer;
  const std::size_t mapped = round_to_pages(size_in_bytes);
  void* memory =
      ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return fail_errno("cannot allocate secret memory", "mmap", errno);
  ::madvise(memory, mapped, MADV_DONTDUMP);
  ::madvise(memory, mapped, MADV_DONTFORK);
  // Locking touches every page: a batch's arrays take a page fault for each 2 MiB, not each 4 KiB.
  // Where the system has no large pages this changes nothing.
  ::madvise(memory, mapped, MADV_HUGEPAGE);
  const bool locked = ::mlock(memory, mapped) == 0;
  const int lock_error = errno;
  if (!locked && g_policy.load() == LockMemory::kRequired) {
    ::munmap(memory, mapped);
    return fail(ErrorCode::kRefused,
                "cannot lock " + std::to_string(mapped) + " bytes of memory for secrets",
                "lock_memory = \"required\"",
                "raise the limit (ulimit -l, LimitMEMLOCK=), make issue.segment_rows smaller, or "
                "set lock_memory = \"preferred\"",
                static_cast<std::uint64_t>(lock_error));
  }
  if (!locked) count_unlocked(mapped);
  buffer.data_ = static_cast<std::uint8_t*>(memory);
  buffer.size_ = size_in_bytes;
  buffer.mapped_ = mapped;
  buffer.locked_ = locked;
  return buffer;
}

}  // namespace fugo
