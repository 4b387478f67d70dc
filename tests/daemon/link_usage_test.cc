#include "daemon/link_usage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <nlohmann/json.hpp>

#include "tests/daemon/site_fixture.h"

namespace fugo::daemon {
namespace {

namespace fs = std::filesystem;
using engine::LinkUse;
using test::TemporaryDirectory;

constexpr std::int64_t kFrom = 1'795'000'000, kTo = kFrom + 60;

std::vector<UsageSummary> summaries(const fs::path& folder) {
  std::vector<UsageSummary> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    EXPECT_TRUE(is_use_name(entry.path().filename().string())) << entry;
    auto summary = decode_summary(test::read_file(entry.path()));
    EXPECT_TRUE(summary) << entry;
    if (summary) found.push_back(std::move(*summary));
  }
  return found;
}

TEST(UsageSpool, WritesOneFileForACallAndNoneForNothing) {
  const TemporaryDirectory scratch;
  const auto folder = scratch.path() / "uses";
  const auto spool = UsageSpool::open(folder, "core/system", "taro", "W-1");
  ASSERT_TRUE(spool) << spool.error().message();
  EXPECT_TRUE((*spool)->write({}, kFrom, kTo));
  EXPECT_TRUE((*spool)->write(std::vector<LinkUse>{{"131016", 0, 0}}, kFrom, kTo));
  EXPECT_TRUE(fs::is_empty(folder));
  ASSERT_TRUE(
      (*spool)->write(std::vector<LinkUse>{{"131016", 7, 5}, {"472018", 1, 0}}, kFrom, kTo));
  const auto found = summaries(folder);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].program, "core_system");
  EXPECT_EQ(found[0].process, ::getpid());
  EXPECT_EQ(found[0].from, kFrom);
  EXPECT_EQ(found[0].to, kTo);
  EXPECT_EQ(found[0].operator_name, "taro");
  EXPECT_EQ(found[0].order, "W-1");
  ASSERT_EQ(found[0].uses.size(), 2U);
  EXPECT_EQ(found[0].uses[0].agency, "131016");
  EXPECT_EQ(found[0].uses[0].asked, 7U);
  EXPECT_EQ(found[0].uses[0].ok, 5U);
  // A site of one account: nobody else looks in.
  struct stat info {};
  ASSERT_EQ(::stat(folder.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0700U);
  ASSERT_EQ(::stat(fs::directory_iterator(folder)->path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST(UsageSpool, KeepsWhatCouldNotBeWrittenForTheNextTime) {
  const TemporaryDirectory scratch;
  const auto folder = scratch.path() / "uses";
  const auto spool = UsageSpool::open(folder, "core");
  ASSERT_TRUE(spool);
  fs::remove(folder);
  EXPECT_FALSE((*spool)->write(std::vector<LinkUse>{{"131016", 7, 5}}, kFrom, kTo));
  EXPECT_FALSE((*spool)->write(std::vector<LinkUse>{{"131016", 1, 1}}, kTo, kTo + 60));
  fs::create_directory(folder);
  ASSERT_TRUE((*spool)->write({}, kTo + 60, kTo + 120));
  const auto found = summaries(folder);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].from, kFrom);
  EXPECT_EQ(found[0].to, kTo + 120);
  EXPECT_EQ(found[0].uses[0].asked, 8U);
  EXPECT_EQ(found[0].uses[0].ok, 6U);
  ASSERT_TRUE((*spool)->write({}, kTo, kTo));
  EXPECT_EQ(summaries(folder).size(), 1U);
}

TEST(UsageSpool, BlocksGoWithTheNextUses) {
  const TemporaryDirectory scratch;
  const auto spool = UsageSpool::open(scratch.path(), "core").value();
  constexpr keystore::KeyNumber kLinkage = 0x1'0001, kAgency = 0x2'0003;
  ASSERT_TRUE(spool->write({}, kFrom, kTo, {{kLinkage, 40}}));
  EXPECT_TRUE(fs::is_empty(scratch.path()));
  ASSERT_TRUE(spool->write(std::vector<LinkUse>{{"131016", 7, 5, 2}}, kFrom, kTo,
                           {{kLinkage, 2}, {kAgency, 9}}));
  const auto found = summaries(scratch.path());
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].blocks, (keystore::BlockCounts{{kLinkage, 42}, {kAgency, 9}}));
  EXPECT_EQ(found[0].uses[0].in_vain, 2U);
  // Programs that do not know these counts look at `uses` alone, as they did.
  const auto text = nlohmann::json::parse(daemon::encode_summary(found[0]));
  EXPECT_EQ(text["version"], 1);
  EXPECT_EQ(text["uses"]["131016"], (nlohmann::json{{"asked", 7}, {"ok", 5}}));
  EXPECT_EQ(text["blocks"], (nlohmann::json{{"1.1", 42}, {"2.3", 9}}));
  EXPECT_EQ(text["in_vain"], (nlohmann::json{{"131016", 2}}));
}

TEST(UsageSummary, CountsThatCannotBeAreRefused) {
  const std::string head =
      R"({"version":1,"program":"core","process":7,"from":1,"to":2,"uses":{"131016":{"asked":7,"ok":5}})";
  EXPECT_TRUE(daemon::decode_summary(head + "}"));
  EXPECT_TRUE(daemon::decode_summary(head + R"(,"in_vain":{"131016":2},"blocks":{"1.1":3}})"));
  for (const char* more :
       {R"("in_vain":{"131016":3})", R"("in_vain":{"131016":-1})", R"("in_vain":7)",
        R"("in_vain":{"1":1,"2":1})", R"("blocks":[])", R"("blocks":{"1.1":-1})",
        R"("blocks":{"1.1":1000000000000001})", R"("blocks":{"1":1})", R"("blocks":{"01.1":1})",
        R"("blocks":{"1.65536":1})", R"("blocks":{"256.1":1})", R"("blocks":{"1.1x":1})"})
    EXPECT_FALSE(daemon::decode_summary(head + "," + more + "}")) << more;
}

TEST(UsageSpool, WhatCannotBeTakesNobodyElsesCountsAlong) {
  const TemporaryDirectory scratch;
  const auto spool = UsageSpool::open(scratch.path(), "core");
  ASSERT_TRUE(spool);
  const auto written = (*spool)->write(
      std::vector<LinkUse>{{"131016", 7, 5}, {"472018", 1, 2}, {"141003", 3, 3}}, kFrom, kTo);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::kInternal);
  const auto found = summaries(scratch.path());
  ASSERT_EQ(found.size(), 1U);
  ASSERT_EQ(found[0].uses.size(), 2U);
  EXPECT_EQ(found[0].uses[0].agency, "131016");
  EXPECT_EQ(found[0].uses[1].agency, "141003");
}

TEST(UsageSpool, SharesManyAgenciesOutOverFilesThatTheDaemonTakes) {
  const TemporaryDirectory scratch;
  const auto spool = UsageSpool::open(scratch.path(), "core");
  ASSERT_TRUE(spool);
  std::vector<LinkUse> uses;
  uses.reserve(1788);
  for (int i = 0; i < 1788; ++i)
    uses.push_back({"AGENCYOFCODE" + std::to_string(1000 + i), 999'999'999'999, 999'999'999'999});
  ASSERT_TRUE((*spool)->write(uses, kFrom, kTo));
  std::map<std::string, std::uint64_t> asked;
  const auto found = summaries(scratch.path());
  EXPECT_EQ(found.size(), 4U);
  for (const auto& summary : found)
    for (const auto& use : summary.uses) asked[use.agency] += use.asked;
  EXPECT_EQ(asked.size(), uses.size());
}

TEST(UsageSpool, AForkedChildCannotCountForItsParent) {
  const TemporaryDirectory scratch;
  const auto spool = UsageSpool::open(scratch.path(), "core");
  ASSERT_TRUE(spool);
  const pid_t child = ::fork();
  if (child == 0)
    ::_exit((*spool)->write(std::vector<LinkUse>{{"131016", 7, 5}}, kFrom, kTo) ? 1 : 0);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(fs::is_empty(scratch.path()));
}

TEST(UsageSpool, SaysWhatToDoWhereItCannotWrite) {
  const auto spool = UsageSpool::open("/proc/uses", "core");
  ASSERT_FALSE(spool);
  EXPECT_THAT(spool.error().hint, testing::HasSubstr("install -d -m 3770"));
}

TEST(UsageSummaries, ThatNobodyWroteSoAreRefused) {
  const UsageSummary good{"core", 1, kFrom, kTo, "", "", {{"131016", 2, 1}}};
  const auto text = encode_summary(good);
  ASSERT_TRUE(decode_summary(text));
  EXPECT_FALSE(decode_summary(text.substr(0, text.size() / 2)));
  const auto json = nlohmann::json::parse(text);
  const auto refused = [&](const char* path, const nlohmann::json& value) {
    auto changed = json;
    changed[nlohmann::json::json_pointer(path)] = value;
    return !decode_summary(changed.dump());
  };
  EXPECT_FALSE(refused("/more", 1));  // what a later version might add is nobody's harm
  EXPECT_TRUE(refused("/version", 2));
  EXPECT_TRUE(refused("/program", ""));
  EXPECT_TRUE(refused("/program", "a\nb"));
  EXPECT_TRUE(refused("/process", 0));
  EXPECT_TRUE(refused("/process", -1));
  EXPECT_TRUE(refused("/process", "1"));
  EXPECT_TRUE(refused("/to", kFrom - 1));
  EXPECT_TRUE(refused("/from", nullptr));
  EXPECT_TRUE(refused("/operator", "\x7f"));
  EXPECT_TRUE(refused("/uses", nlohmann::json::object()));
  EXPECT_TRUE(refused("/uses", nlohmann::json::array({1})));
  EXPECT_TRUE(refused("/uses/131016/ok", 3));
  EXPECT_TRUE(refused("/uses/131016/asked", 1e3));
  EXPECT_TRUE(refused("/uses/131016/asked", 18446744073709551615ULL));
  EXPECT_TRUE(refused("/uses/131016/person", 1));
  EXPECT_TRUE(refused("/uses/13-10", {{"asked", 1}, {"ok", 1}}));
  EXPECT_FALSE(decode_summary(std::string(kMostUseFileBytes + 1, ' ')));
  EXPECT_FALSE(decode_summary(std::string(60'000, '[')));
}

TEST(UseNames, AreOfOneForm) {
  EXPECT_TRUE(is_use_name("use-20261121T030405Z-4711-abcdefghijklmnop.json"));
  EXPECT_FALSE(is_use_name("use-20261121T030405Z--abcdefghijklmnop.json"));
  EXPECT_FALSE(is_use_name("use-20261121T030405Z-12345678901-abcdefghijklmnop.json"));
  EXPECT_FALSE(is_use_name("use-20261121T030405Z-4711-abcdefghijklmnoz.json"));
  EXPECT_FALSE(is_use_name("use-20261121T030405Z-4711-abcdefghijklmnop.jsonx"));
  EXPECT_FALSE(is_use_name("use-24727059608.json"));
  EXPECT_FALSE(is_use_name("use-.json"));
  EXPECT_FALSE(is_use_name(""));
}

}  // namespace
}  // namespace fugo::daemon
