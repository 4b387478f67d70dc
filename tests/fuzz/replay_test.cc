// Every kept input of every fuzz target, without libFuzzer. What a fuzz run once found stays here.
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "tests/fuzz/target.h"

namespace fugo::fuzz {
namespace {

namespace fs = std::filesystem;

const fs::path kCorpus = fs::path(FUGO_TEST_DATA).parent_path() / "fuzz/corpus";

std::string read_all(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Replay, EveryKeptInputOfEveryTarget) {
  std::set<std::string> names;
  for (const Target& target : targets()) {
    SCOPED_TRACE(target.name);
    names.insert(target.name);
    std::size_t inputs = 0;
    const std::size_t before = times_reached();
    ASSERT_TRUE(fs::is_directory(kCorpus / target.name)) << "a target needs a corpus";
    for (const auto& entry : fs::directory_iterator(kCorpus / target.name)) {
      const auto text = read_all(entry.path());
      target.run(as_bytes(text));
      ++inputs;
    }
    EXPECT_GE(inputs, 1U);
    EXPECT_GT(times_reached(), before) << "no input comes through the parser";
    target.run({});
  }
  for (const auto& entry : fs::directory_iterator(kCorpus))
    EXPECT_TRUE(names.count(entry.path().filename().string())) << entry.path() << " has no target";
}

}  // namespace
}  // namespace fugo::fuzz
