// libfugo as it is installed: what it shows, and what it needs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "tests/package/installation.h"

namespace fugo::test {
namespace {

// functions_of_header finds every function that fugo.h declares.
std::set<std::string> functions_of_header() {
  const auto header = read_file(Installation::instance().prefix() / "include/fugo/fugo.h");
  const std::regex declared(R"(FUGO_API [a-z_ *]*?(fugo_[a-z_]+)\()");
  std::set<std::string> names;
  for (std::sregex_iterator at(header.begin(), header.end(), declared), end; at != end; ++at)
    names.insert((*at)[1]);
  return names;
}

std::string library() { return (Installation::instance().library() / "libfugo.so.0").string(); }

TEST(Library, ShowsItsFunctionsAndNothingElse) {
  const auto shown = shell("nm -D --defined-only --without-symbol-versions " + library());
  ASSERT_EQ(shown.exit_code, 0) << shown.err;
  std::set<std::string> names;
  for (const auto& line : lines(shown.out)) {
    const auto name = line.substr(line.rfind(' ') + 1);
    if (name != "FUGO_0") names.insert(name);
  }
  EXPECT_GE(names.size(), 12U);
  EXPECT_EQ(names, functions_of_header());
}

TEST(Library, NeedsLibrariesOfTheSystemAlone) {
  const std::set<std::string> known = {
      "libc.so.6",       "libcctz.so.2",         "libcrypto.so.3", "libfmt.so.9",
      "libgcc_s.so.1",   "liblmdb.so.0",         "libm.so.6",      "libp11-kit.so.0",
      "libsodium.so.23", "libtomlplusplus.so.3", "libstdc++.so.6", "ld-linux-x86-64.so.2"};
  const auto needed = shell("readelf -d " + library());
  ASSERT_EQ(needed.exit_code, 0) << needed.err;
  const std::regex entry(R"(\(NEEDED\).*\[(.*)\])");
  std::size_t count = 0;
  for (std::sregex_iterator at(needed.out.begin(), needed.out.end(), entry), end; at != end;
       ++at, ++count)
    EXPECT_TRUE(known.count((*at)[1]) == 1) << (*at)[1];
  EXPECT_GE(count, 5U);
  EXPECT_THAT(needed.out, testing::HasSubstr("Library soname: [libfugo.so.0]"));
  EXPECT_THAT(needed.out, testing::Not(testing::HasSubstr("RUNPATH")));
  const auto found = shell("ldd " + library());
  EXPECT_EQ(found.exit_code, 0) << found.err;
  EXPECT_THAT(found.out, testing::Not(testing::HasSubstr("not found")));
}

TEST(Library, HeadersStandAlone) {
  const auto include = " -I " + (Installation::instance().prefix() / "include").string();
  for (const char* language : {"c -std=c99", "c++ -std=c++11", "c++ -std=c++20"})
    for (const char* header : {"fugo.h", "fugo.hpp", "values.hpp"}) {
      const bool cpp20 = std::string(language) == "c++ -std=c++20";
      if (std::string(header) != "fugo.h" && !cpp20) continue;
      const auto compiled = shell("echo '#include <fugo/" + std::string(header) + ">' | g++ -x " +
                                  language + " -pedantic -Wall -Wextra -Wconversion -Werror" +
                                  " -fsyntax-only" + include + " -");
      EXPECT_EQ(compiled.exit_code, 0) << language << header << compiled.err;
    }
}

}  // namespace
}  // namespace fugo::test
