// Man pages and completion: well formed, and complete.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/config_rules.h"
#include "tests/package/installation.h"

namespace fugo::test {
namespace {

using testing::HasSubstr;

std::filesystem::path share() { return Installation::instance().prefix() / "share"; }

// complete gives what bash offers behind these words; the last may be begun, or empty.
std::string complete(const std::string& words) {
  const auto offered =
      shell("bash -c 'source " + (share() / "bash-completion/completions/fugo").string() +
            "; compopt() { :; }; COMP_WORDS=(" + words +
            "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _fugo; echo \" ${COMPREPLY[*]} \"'");
  EXPECT_EQ(offered.err, "");
  return offered.out;
}

TEST(Manual, PagesAreWellFormed) {
  for (const char* page : {"man1/fugo.1", "man3/libfugo.3", "man5/fugo.toml.5", "man8/fugod.8"}) {
    const auto formatted =
        shell("groff -t -man -Tutf8 -ww -z " + (share() / "man" / page).string());
    EXPECT_EQ(formatted.exit_code, 0) << page;
    EXPECT_EQ(formatted.err, "") << page;
  }
}

TEST(Manual, EveryKeyOfTheConfigurationIsDescribed) {
  const auto page = read_file(share() / "man/man5/fugo.toml.5");
  const auto operation = read_file(FUGO_SOURCE_DIR "/docs/operation.md");
  for (const auto& rule : daemon::config_rules()) {
    const std::string key(rule.key), section(rule.section);
    EXPECT_THAT(page, HasSubstr("\n.B " + key + "\n")) << section;
    if (!section.empty()) {
      EXPECT_THAT(page, HasSubstr("[" + section + "]"));
    }
    const bool token = section.rfind("hsm.", 0) == 0;
    const auto name = section.empty() ? key : token ? "" : section + "." + key;
    if (!name.empty()) {
      EXPECT_THAT(operation, HasSubstr("`" + name + "`"));
    }
  }
}

TEST(Manual, EveryFunctionOfTheLibraryIsNamed) {
  const auto page = read_file(share() / "man/man3/libfugo.3");
  const auto shown = shell("nm -D --defined-only --without-symbol-versions " +
                           (Installation::instance().library() / "libfugo.so").string());
  for (const auto& line : lines(shown.out)) {
    const auto name = line.substr(line.rfind(' ') + 1);
    if (name != "FUGO_0") {
      EXPECT_THAT(page, HasSubstr(name + "("));
    }
  }
}

TEST(Manual, EveryCommandIsInThePage) {
  const auto page = read_file(share() / "man/man1/fugo.1");
  for (const auto& line : lines(run_fugo({"--help"}).out)) {
    if (line.rfind("  ", 0) != 0 || line[2] == '-') continue;
    const auto command = line.substr(2, line.find(' ', 2) - 2);
    EXPECT_THAT(page, HasSubstr(".SS \\fB" + command + "\\fR"));
  }
}

TEST(Manual, CompletionKnowsCommandsAndOptions) {
  EXPECT_THAT(complete("fugo \"\""), HasSubstr(" agency "));
  EXPECT_THAT(complete("fugo \"\""), HasSubstr(" --config "));
  EXPECT_EQ(complete("fugo ag"), " agency \n");
  EXPECT_THAT(complete("fugo agency \"\""), HasSubstr(" import "));
  EXPECT_THAT(complete("fugo --config a.toml agency \"\""), HasSubstr(" suspend "));
  EXPECT_EQ(complete("fugo link symbols --fr"), " --from \n");
  EXPECT_EQ(complete("fugo link --from \"\""), "  \n");  // a value
}

}  // namespace
}  // namespace fugo::test
