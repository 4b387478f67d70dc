// Runs under valgrind, with every secret marked as undefined: valgrind then reports each branch and
// each address that depends on one, which is what a stopwatch or a cache would show to others. The
// idea is that of libsecp256k1's ctime_tests.
//
// What is covered is our own code between the token and the ledger: its inner loops here, whole
// paths in secret_paths.cc. What does depend on a secret, and why that is accepted, is said where
// it is expected.

#include "tests/engine/secret_timing.h"

#include <array>
#include <vector>

#include "base/secret.h"
#include "base/text.h"
#include "engine/kernels.h"
#include "hsm/cmac_subkey.h"
#include "keystore/bulk_format.h"

namespace fugo::engine {
namespace {

using test::expect;
using test::failures;
using test::make_secret;
using test::publish;

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
  make_secret(c.data(), c.size());
  make_secret(d.data(), d.size());
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
  test::make_all_secret(codes);
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
  fugo::test::secret_paths();
  return fugo::test::failures == 0 ? 0 : 1;
}
