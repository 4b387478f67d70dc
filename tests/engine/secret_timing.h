// Marking secrets for valgrind, and saying what it reported.
#pragma once

#include <valgrind/memcheck.h>

#include <cstddef>
#include <cstdio>

namespace fugo::test {

// make_secret marks memory as undefined, so that valgrind reports what branches on it or looks up
// by it; publish takes the mark away, from what is told to everybody anyway.
inline void make_secret(void* from, std::size_t size) {
  (void)VALGRIND_MAKE_MEM_UNDEFINED(from, size);
}
inline void publish(void* from, std::size_t size) { (void)VALGRIND_MAKE_MEM_DEFINED(from, size); }
template <typename T>
void make_secret(T& value) {
  make_secret(&value, sizeof(value));
}
template <typename T>
void publish(T& value) {
  publish(&value, sizeof(value));
}
template <typename Span>
void make_all_secret(Span& items) {
  make_secret(items.data(), items.size() * sizeof(items[0]));
}
template <typename Span>
void publish_all(Span& items) {
  publish(items.data(), items.size() * sizeof(items[0]));
}

inline int failures = 0;

// expect runs `act` and compares with whether valgrind has reported anything new.
template <typename Act>
void expect(const char* name, bool reported, const Act& act) {
  const auto before = VALGRIND_COUNT_ERRORS;
  act();
  const bool found = VALGRIND_COUNT_ERRORS != before;
  std::printf("%-62s %s\n", name, found ? "depends on the secret" : "does not");
  if (found == reported) return;
  std::printf("  expected the contrary\n");
  ++failures;
}

// check is for what must have gone well for the rest to mean anything.
inline void check(bool good, const char* what) {
  if (good) return;
  std::printf("%s failed\n", what);
  ++failures;
}

// secret_paths looks at whole paths: from a row of a request to symbols, digests and sealed rows.
void secret_paths();

}  // namespace fugo::test
