// Runs under valgrind, with every secret marked as undefined: valgrind then reports each branch and
// each address that depends on one, which is what a stopwatch or a cache would show to others. The
// idea is that of libsecp256k1's ctime_tests.
//
// What is covered is our own code between the token and the ledger. Not covered, since they do
// branch or look up by the symbol: the text form of symbols and hexadecimal. A linkage symbol is
// never written as text; agency and record symbols are given out as it.
#include <valgrind/memcheck.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <vector>

#include "base/secret.h"
#include "base/text.h"
#include "engine/kernels.h"
#include "hsm/cmac_subkey.h"
#include "keystore/bulk_format.h"

namespace fugo::engine {
namespace {

template <typename T>
void make_secret(T& value) {
  (void)VALGRIND_MAKE_MEM_UNDEFINED(&value, sizeof(value));
}
template <typename T>
void publish(T& value) {
  (void)VALGRIND_MAKE_MEM_DEFINED(&value, sizeof(value));
}

int failures = 0;

// expect runs `act` and compares with whether valgrind has reported anything new.
template <typename Act>
void expect(const char* name, bool reported, const Act& act) {
  const auto before = VALGRIND_COUNT_ERRORS;
  act();
  const bool found = VALGRIND_COUNT_ERRORS != before;
  std::printf("%-52s %s\n", name, found ? "depends on the secret" : "does not");
  if (found != reported) {
    std::printf("  expected the contrary\n");
    ++failures;
  }
}

__attribute__((noinline)) bool leaky_equal(const std::uint8_t* a, const std::uint8_t* b,
                                           std::size_t size) {
  for (std::size_t i = 0; i < size; ++i)
    if (a[i] != b[i]) return false;
  return true;
}

void comparisons() {
  std::array<std::uint8_t, 32> a{}, b{};
  b[7] = 1;
  make_secret(a);
  make_secret(b);
  expect("control: a comparison that ends early", true, [&] {
    bool same = leaky_equal(a.data(), b.data(), a.size());
    publish(same);
  });
  expect("equal_in_constant_time", false, [&] {
    bool same = equal_in_constant_time(a, b);
    publish(same);
    if (same) ++failures;
  });
  SecretBytes<32> c, d;
  (void)VALGRIND_MAKE_MEM_UNDEFINED(c.data(), c.size());
  (void)VALGRIND_MAKE_MEM_UNDEFINED(d.data(), d.size());
  expect("SecretBytes, compared, copied and wiped", false, [&] {
    bool same = c == d;
    publish(same);
    SecretBytes<32> copy = c;
    wipe(copy.data(), copy.size());
  });
}

void core_function() {
  Block subkey;
  make_secret(subkey);
  expect("dbl() of a subkey", false, [&] { subkey = hsm::doubled(subkey); });
  std::vector<std::uint64_t> codes(1000, 24727059608);
  (void)VALGRIND_MAKE_MEM_UNDEFINED(codes.data(), codes.size() * sizeof(codes[0]));
  std::vector<Block> blocks(codes.size()), symbols(codes.size());
  Block mask;
  make_secret(mask);
  const auto part = masked(
      mask,
      [from = codes.data()](std::size_t i) {
        return Words{1, big_endian(from[i])};
      },
      [to = symbols.data()](std::size_t i, const Words& value) { store_words(to[i], value); });
  expect("linkage symbols: blocks to encrypt", false, [&] { part.fill(0, blocks); });
  expect("linkage symbols: results", false, [&] { part.drain(0, blocks); });
  expect("control: a table looked up by a symbol", true, [&] {
    static const std::array<char, 256> table{};
    volatile char got = table[symbols[0].bytes[0]];
    (void)got;
  });
  expect("the text form of a symbol (given out as it is)", true, [&] {
    char text[64];
    encode_symbol(symbols[0], text);
  });
}

void records() {
  keystore::PersonRecord person;
  make_secret(person.linkage_symbol);
  make_secret(person.check_value);
  std::array<std::uint8_t, keystore::PersonCodec::kLayout.entry_bytes> bytes{};
  expect("a person's record, written", false,
         [&] { keystore::PersonCodec::encode(person, bytes.data()); });
  expect("a person's record, read", false,
         [&] { keystore::PersonCodec::decode(bytes.data(), person); });
}

}  // namespace
}  // namespace fugo::engine

int main() {
  if (RUNNING_ON_VALGRIND == 0) {
    std::printf("run it under valgrind: nothing is seen without\n");
    return 2;
  }
  fugo::engine::comparisons();
  fugo::engine::core_function();
  fugo::engine::records();
  return fugo::engine::failures == 0 ? 0 : 1;
}
