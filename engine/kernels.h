// Kernels: the inner loops that all symbols are made by. Private to the engine.
//
// An *input* is a function from an item's position to the Words to encrypt or to authenticate; an
// *output* takes an item's position and the Words that came back. They are lambdas that capture
// pointers by value, so that the loops below become straight vector code: the bar is 2 ns a block.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "hsm/token.h"

namespace fugo::engine {

// Words is a block as two integers in the machine's byte order: `first` is bytes 0 to 7.
struct Words {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
};

[[nodiscard]] inline Words operator^(const Words& a, const Words& b) {
  return {a.first ^ b.first, a.second ^ b.second};
}

[[nodiscard]] inline Words load_words(const Block& block) {
  Words words;
  std::memcpy(&words, block.bytes.data(), sizeof words);
  return words;
}

inline void store_words(Block& block, const Words& words) {
  std::memcpy(block.bytes.data(), &words, sizeof words);
}

// big_endian gives the integer whose bytes in memory are `value` with its first byte first.
[[nodiscard]] inline std::uint64_t big_endian(std::uint64_t value) {
  static_assert(std::endian::native == std::endian::little, "fugo is built for little-endian");
  return __builtin_bswap64(value);
}

// soon asks for the cache line that a loop over `array` will come to some rounds after item i. The
// arrays of a batch lie in no cache, and the processor's own look-ahead ends at each page.
template <typename T>
inline void soon(const T* array, std::size_t i) {
  constexpr std::size_t kBytesAhead = 2048;
  __builtin_prefetch(reinterpret_cast<const char*>(array + i) + kBytesAhead);
}

// Part is one input and output over items of its own.
template <typename Input, typename Output>
struct Part {
  Input input;
  Output output;

  void fill(std::size_t first, std::span<Block> blocks) const {
    const Input in = input;  // a copy that no store can alias
    for (std::size_t i = 0; i < blocks.size(); ++i) store_words(blocks[i], in(first + i));
  }
  void drain(std::size_t first, std::span<const Block> blocks) const {
    const Output out = output;
    for (std::size_t i = 0; i < blocks.size(); ++i) out(first + i, load_words(blocks[i]));
  }
};
template <typename Input, typename Output>
Part(Input, Output) -> Part<Input, Output>;

// masked is the core function's Part for one mask, from inputs `x` to results `result`:
// result(i, E_K(mask xor x(i)) xor x(i)).
template <typename X, typename Output>
[[nodiscard]] auto masked(const Block& mask, X x, Output result) {
  const Words m = load_words(mask);
  return Part{[m, x](std::size_t i) { return m ^ x(i); },
              [x, result](std::size_t i, const Words& e) { result(i, e ^ x(i)); }};
}

// encrypt_part encrypts `count` items of one part; decrypt_part decrypts them.
template <typename PartType>
[[nodiscard]] Status encrypt_part(hsm::Token& token, const hsm::Key& key, std::size_t count,
                                  const PartType& part) {
  return token.encrypt(
      key, count, [&part](std::size_t first, std::span<Block> to) { part.fill(first, to); },
      [&part](std::size_t first, std::span<const Block> from) { part.drain(first, from); });
}
template <typename PartType>
[[nodiscard]] Status decrypt_part(hsm::Token& token, const hsm::Key& key, std::size_t count,
                                  const PartType& part) {
  return token.decrypt(
      key, count, [&part](std::size_t first, std::span<Block> to) { part.fill(first, to); },
      [&part](std::size_t first, std::span<const Block> from) { part.drain(first, from); });
}

// encrypt_parts encrypts `count` items of each of two parts in the same calls: `a` is [0, count),
// `b` is [count, 2 count).
template <typename A, typename B>
[[nodiscard]] Status encrypt_parts(hsm::Token& token, const hsm::Key& key, std::size_t count,
                                   const A& a, const B& b) {
  const auto split = [count](std::size_t first, std::size_t size) {
    return first >= count ? 0 : std::min(size, count - first);
  };
  return token.encrypt(
      key, 2 * count,
      [&](std::size_t first, std::span<Block> to) {
        const std::size_t of_a = split(first, to.size());
        a.fill(first, to.first(of_a));
        b.fill(first + of_a - count, to.subspan(of_a));
      },
      [&](std::size_t first, std::span<const Block> from) {
        const std::size_t of_a = split(first, from.size());
        a.drain(first, from.first(of_a));
        b.drain(first + of_a - count, from.subspan(of_a));
      });
}

// sign_each computes the first 128 bits of HMAC(K, label(i) || x(i)), one C_Sign an item, spread
// over threads (FIPS 198-1; truncation as in SP 800-107 section 5.1, leftmost bits).
template <typename Label, typename X, typename Output>
[[nodiscard]] Status sign_each(hsm::Token& token, const hsm::Key& key, std::size_t count,
                               const Label& label, const X& x, const Output& result) {
  return token.mac(
      key, count,
      [&](std::size_t first, std::span<hsm::Message> to) {
        for (std::size_t i = 0; i < to.size(); ++i) {
          store_words(to[i][0], label(first + i));
          store_words(to[i][1], x(first + i));
        }
      },
      [&](std::size_t first, std::span<const Block> from) {
        for (std::size_t i = 0; i < from.size(); ++i) result(first + i, load_words(from[i]));
      });
}

// sign_core is the core function by a key without `blocks`: result(i, CMAC(K, label(i) || x(i)) xor
// x(i)). Slow: one C_Sign an item.
template <typename Label, typename X, typename Output>
[[nodiscard]] Status sign_core(hsm::Token& token, const hsm::Key& key, std::size_t count,
                               const Label& label, const X& x, const Output& result) {
  return sign_each(token, key, count, label, x,
                   [&](std::size_t i, const Words& tag) { result(i, tag ^ x(i)); });
}

}  // namespace fugo::engine
