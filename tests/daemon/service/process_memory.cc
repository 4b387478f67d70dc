#include "tests/daemon/service/process_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "tests/daemon/site_fixture.h"

namespace fugo::test {

namespace fs = std::filesystem;

std::string memory_of(pid_t pid) {
  const auto process = fs::path("/proc") / std::to_string(pid);
  std::ifstream maps(process / "maps"), memory(process / "mem", std::ios::binary);
  std::string all;
  for (std::string line; std::getline(maps, line);) {
    std::uint64_t first = 0, last = 0;
    std::array<char, 5> rights{};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &first, &last, rights.data()) != 3) continue;
    // Programs' own code is on the disk as well; the ledger's map of a terabyte is a file, too.
    if (rights[0] != 'r' || rights[2] == 'x' || last - first > (std::uint64_t{1} << 32U)) continue;
    const auto before = all.size();
    all.resize(before + (last - first));
    memory.clear();
    memory.seekg(static_cast<std::streamoff>(first));
    memory.read(all.data() + before, static_cast<std::streamsize>(last - first));
    all.resize(before + static_cast<std::size_t>(std::max<std::streamsize>(memory.gcount(), 0)));
  }
  return all;
}

std::string core_of(pid_t pid, const fs::path& scratch, bool all) {
  const auto core = scratch / "core", log = scratch / "gcore.log";
  const std::string command = std::string("gcore ") + (all ? "-a " : "") + "-o '" + core.string() +
                              "' " + std::to_string(pid) + " > '" + log.string() + "' 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0) << read_file(log);
  const auto file = core.string() + "." + std::to_string(pid);
  auto text = read_file(file);
  fs::remove(file);
  return text;
}

}  // namespace fugo::test
