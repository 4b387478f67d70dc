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

std::string repeated(std::string_view what, std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) text += what;
  return text;
}

// entry_with is a journal's entry that has everything it must have, and these details.
std::string entry_with(const std::string& details) {
  const std::string hash(64, '0');
  return R"({"sequence":3,"time":"2026-11-22T00:00:00Z","unix_time":1,"operator":"","order":"",)"
         R"("role":"","account":"","act":"init","details":)" +
         details + R"(,"previous":")" + hash + R"(","hash":")" + hash + "\"}\n";
}

// Nothing but brackets: what reads, writes or copies it by recursion has no stack for that.
TEST(Replay, WhatNestsDeeplyIsNoCrash) {
  constexpr std::size_t kDeep = 200'000;
  const auto arrays = repeated("[", kDeep) + repeated("]", kDeep);
  const auto objects = repeated(R"({"a":)", kDeep) + "1" + repeated("}", kDeep);
  const std::vector<std::string> inputs = {
      repeated("[", kDeep),
      arrays,
      objects,
      entry_with(arrays),
      "r" + entry_with(arrays),
      entry_with(objects),
      "m" + std::string("issue.done ") + objects.substr(0, 60'000) + "\n",
      "m" + std::string("issue.done ") + repeated(R"({"a":)", 10'000) + "1" + repeated("}", 10'000),
      "a = " + arrays,
      repeated("[a.", kDeep),
      "a" + repeated(".a", kDeep) + " = 1",
      std::string("fugoLDGR\0\0\0\3", 12) + repeated("\x81", kDeep),
      std::string("fugoLDGR\0\0\0\2", 12) + repeated("\x81", kDeep),
      repeated("\x30\x80", kDeep),
      std::string(32, '0') + repeated("\x30\x80", kDeep)};
  for (const Target& target : targets()) {
    SCOPED_TRACE(target.name);
    for (const auto& input : inputs) target.run(as_bytes(input));
  }
}

}  // namespace
}  // namespace fugo::fuzz
