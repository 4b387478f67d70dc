#include "tests/base/memory_search.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <sstream>

namespace fugo::test {
namespace {

// Mapping is an entry of /proc/self/smaps.
struct Mapping {
  std::uintptr_t first = 0, last = 0;
  bool readable = false, locked = false;
  std::string name;
};

std::vector<Mapping> mappings() {
  std::vector<Mapping> all;
  std::ifstream file("/proc/self/smaps");
  for (std::string line; std::getline(file, line);) {
    Mapping one;
    std::array<char, 5> rights{};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &one.first, &one.last, rights.data()) == 3) {
      one.readable = rights[0] == 'r';
      const auto slash = line.find('/');
      if (slash != std::string::npos) one.name = line.substr(slash);
      all.push_back(one);
    } else if (line.rfind("VmFlags:", 0) == 0 && !all.empty()) {
      all.back().locked = line.find(" lo") != std::string::npos;
    }
  }
  return all;
}

constexpr std::size_t kOverlap = 63;  // of pieces of memory: nothing that is wanted is longer

}  // namespace

Places search(const Inverted& wanted) {
  Places places;
  std::array<std::vector<std::size_t>, 256> by_first;
  for (std::size_t i = 0; i < wanted.size(); ++i)
    by_first[static_cast<std::uint8_t>(~wanted[i][0])].push_back(i);
  const int memory = ::open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  EXPECT_GE(memory, 0);
  std::vector<std::uint8_t> piece(1U << 20U);
  for (const Mapping& mapping : mappings()) {
    const auto own = reinterpret_cast<std::uintptr_t>(piece.data());
    if (!mapping.readable || (own >= mapping.first && own < mapping.last && mapping.name.empty() &&
                              mapping.last - mapping.first < 2 * piece.size()))
      continue;
    for (std::uintptr_t at = mapping.first; at < mapping.last;) {
      const auto got =
          ::pread(memory, piece.data(), std::min<std::size_t>(piece.size(), mapping.last - at),
                  static_cast<off_t>(at));
      if (got <= static_cast<ssize_t>(kOverlap)) break;
      const auto size = static_cast<std::size_t>(got);
      for (std::size_t i = 0; i < size; ++i)
        for (const std::size_t which : by_first[piece[i]]) {
          const std::size_t length = wanted[which].size();
          bool same = i + length <= size;
          for (std::size_t b = 0; b < length && same; ++b)
            same = piece[i + b] == static_cast<std::uint8_t>(~wanted[which][b]);
          const auto place = at + i;
          if (!same || (place >= own && place < own + piece.size())) continue;
          ++(mapping.locked ? places.locked : places.open);
          if (!mapping.locked) {
            std::ostringstream text;
            text << " " << std::hex << place << " in " << mapping.first << "-" << mapping.last
                 << " " << mapping.name;
            places.where += text.str();
          }
        }
      at += size == piece.size() ? size - kOverlap : size;
    }
  }
  ::close(memory);
  return places;
}

void add_inverted(ByteView bytes, Inverted& to) {
  to.emplace_back();
  for (const std::uint8_t byte : bytes) to.back().push_back(static_cast<std::uint8_t>(~byte));
}

}  // namespace fugo::test
