#include "base/secret.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace fugo {
namespace {

TEST(SecretBuffer, IsZeroMovableAndCounted) {
  auto made = SecretBuffer::create(10000);
  ASSERT_TRUE(made);
  SecretBuffer buffer = std::move(*made);
  EXPECT_EQ(buffer.size(), 10000U);
  for (const auto byte : buffer.bytes()) ASSERT_EQ(byte, 0);
  buffer.data()[5] = 7;
  SecretBuffer other = std::move(buffer);
  EXPECT_EQ(other.data()[5], 7);
  EXPECT_EQ(buffer.data(), nullptr);
}

TEST(SecretBuffer, ContentIsWipedBeforeItIsGivenBack) {
  SecretBytes<16> secret;
  secret.data()[3] = 9;
  wipe(secret.data(), 16);
  EXPECT_EQ(secret.data()[3], 0);
}

TEST(SecretBytes, AreEqualWhenEveryByteIsAndCopiesAreTheirOwn) {
  SecretBytes<32> a;
  a.data()[31] = 1;
  SecretBytes<32> b = a;
  EXPECT_TRUE(a == b);
  b.data()[0] = 1;
  EXPECT_FALSE(a == b);
  EXPECT_EQ(a.data()[0], 0);
}

// The sanitizers take mlock(2) away: they could not work beside locked memory. So nothing fails
// there.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// Run as another user without CAP_IPC_LOCK, since root may lock any amount.
TEST(SecretBuffer, RequiredLockFailsWithAClearMessageWhereTheLimitIsSmall) {
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit small{65536, 65536};
    if (::setrlimit(RLIMIT_MEMLOCK, &small) != 0) ::_exit(10);
    if (::getuid() == 0 && ::setuid(65534) != 0) ::_exit(11);
    set_lock_policy(LockMemory::kPreferred);
    auto preferred = SecretBuffer::create(1 << 20);
    if (!preferred || unlocked_bytes() != 1 << 20) ::_exit(12);
    set_lock_policy(LockMemory::kRequired);
    auto required = SecretBuffer::create(1 << 20);
    if (required) ::_exit(13);
    if (required.error().code != ErrorCode::kRefused) ::_exit(14);
    if (required.error().hint.find("LimitMEMLOCK") == std::string::npos) ::_exit(15);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}
#endif

TEST(EqualInConstantTime, ComparesContentAndLength) {
  const Block a{{1, 2, 3}};
  Block b = a;
  EXPECT_TRUE(equal_in_constant_time(a.bytes, b.bytes));
  b.bytes[15] = 1;
  EXPECT_FALSE(equal_in_constant_time(a.bytes, b.bytes));
  EXPECT_FALSE(equal_in_constant_time(a.bytes, ByteView(b.bytes).first(15)));
}

}  // namespace
}  // namespace fugo
