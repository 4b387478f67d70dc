// Secrets in memory: wiped, locked, kept out of core dumps, compared in constant time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"

namespace fugo {

// LockMemory says what happens when the system refuses to lock memory (RLIMIT_MEMLOCK).
enum class LockMemory : std::uint8_t {
  kPreferred,  // go on unlocked; unlocked_bytes() tells
  kRequired,   // allocation of a SecretBuffer fails
};

// set_lock_policy chooses for the whole process; call it before the first SecretBuffer.
void set_lock_policy(LockMemory policy);

// unlocked_bytes is the number of secret bytes that are alive and could not be locked.
[[nodiscard]] std::size_t unlocked_bytes();

// lockable_bytes is how much this process may lock in all: SIZE_MAX when there is no limit.
[[nodiscard]] std::size_t lockable_bytes();

// harden_process switches core dumps and tracing by others off. Call it first in main().
[[nodiscard]] Status harden_process();

// wipe overwrites memory in a way that the compiler does not remove.
void wipe(void* memory, std::size_t size_in_bytes);

// equal_in_constant_time takes the same time wherever the first difference is. Views of unequal
// length are unequal.
[[nodiscard]] bool equal_in_constant_time(ByteView a, ByteView b);

// SecretBuffer owns whole pages of memory: locked into RAM, left out of core dumps and of forked
// children, wiped before they are given back. Movable only. Not thread-safe by itself.
class SecretBuffer {
 public:
  SecretBuffer() = default;
  ~SecretBuffer();
  SecretBuffer(SecretBuffer&& other) noexcept;
  SecretBuffer& operator=(SecretBuffer&& other) noexcept;
  SecretBuffer(const SecretBuffer&) = delete;
  SecretBuffer& operator=(const SecretBuffer&) = delete;

  // create gives `size_in_bytes` zero bytes. kRefused when memory cannot be locked and must be.
  [[nodiscard]] static Result<SecretBuffer> create(std::size_t size_in_bytes);

  [[nodiscard]] std::uint8_t* data() { return data_; }
  [[nodiscard]] const std::uint8_t* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] MutableByteView bytes() { return {data_, size_}; }
  [[nodiscard]] ByteView bytes() const { return {data_, size_}; }

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t mapped_ = 0;
  bool locked_ = false;
};

// SecretArray<T> is a SecretBuffer seen as `size()` values of a trivial type.
template <typename T>
class SecretArray {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  SecretArray() = default;
  [[nodiscard]] static Result<SecretArray> create(std::size_t count) {
    FUGO_ASSIGN(auto buffer, SecretBuffer::create(count * sizeof(T)));
    SecretArray array;
    array.buffer_ = std::move(buffer);
    array.count_ = count;
    return array;
  }
  [[nodiscard]] T* data() { return reinterpret_cast<T*>(buffer_.data()); }
  [[nodiscard]] const T* data() const { return reinterpret_cast<const T*>(buffer_.data()); }
  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] T& operator[](std::size_t i) { return data()[i]; }
  [[nodiscard]] const T& operator[](std::size_t i) const { return data()[i]; }
  [[nodiscard]] std::span<T> span() { return {data(), count_}; }
  [[nodiscard]] std::span<const T> span() const { return {data(), count_}; }

 private:
  SecretBuffer buffer_;
  std::size_t count_ = 0;
};

// SecretBytes<N> is a small secret on the stack or in an object, wiped when it goes.
template <std::size_t N>
class SecretBytes {
 public:
  SecretBytes() = default;
  ~SecretBytes() { wipe(bytes_.data(), N); }
  SecretBytes(const SecretBytes&) = default;
  SecretBytes& operator=(const SecretBytes&) = default;

  [[nodiscard]] std::uint8_t* data() { return bytes_.data(); }
  [[nodiscard]] const std::uint8_t* data() const { return bytes_.data(); }
  [[nodiscard]] static constexpr std::size_t size() { return N; }
  [[nodiscard]] MutableByteView bytes() { return bytes_; }
  [[nodiscard]] ByteView bytes() const { return bytes_; }

  friend bool operator==(const SecretBytes& a, const SecretBytes& b) {
    return equal_in_constant_time(a.bytes_, b.bytes_);
  }

 private:
  std::array<std::uint8_t, N> bytes_{};
};

}  // namespace fugo
