#include "daemon/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace fugo::daemon {
namespace {

using testing::HasSubstr;

const std::string kGood = R"(environment = "test"
time_zone = "Asia/Tokyo"
lock_memory = "required"

[ledger]
directory = "ledger"

[hsm]
module = "/usr/lib/softhsm/libsofthsm2.so"
max_bytes_per_call = 65536
threads = 2

[hsm.issuing]
uri = "pkcs11:token=a"
pin_file = "tokens/issuing/pin"
softhsm_conf = "/etc/softhsm2.conf"

[hsm.linking]
uri = "pkcs11:token=b"
pin_file = "tokens/linking/pin"

[issue]
segment_rows = 1000
check_digits = false
reject_limit_rows = 5
reject_limit_percent = 20

[linking]
index = "ahead"
index_mib = 64
quota_per_day = 7000
combine = false
patience_ms = 250

[log]
level = "warning"
format = "json"

[metrics]
address = "127.0.0.9"
port = 9464
)";

std::string mistakes(const std::string& text) {
  const auto settings = parse_settings(text, "/site/fugo.toml");
  if (settings) return "no mistake";
  EXPECT_EQ(settings.error().code, ErrorCode::kUsage);
  EXPECT_EQ(settings.error().where, "/site/fugo.toml");
  return settings.error().what;
}

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Config, EveryKeyIsRead) {
  const auto settings = parse_settings(kGood, "/site/fugo.toml");
  ASSERT_TRUE(settings) << settings.error().message();
  EXPECT_EQ(settings->environment, "test");
  EXPECT_EQ(settings->time_zone, "Asia/Tokyo");
  EXPECT_EQ(settings->lock_memory, LockMemory::kRequired);
  EXPECT_EQ(settings->ledger_directory, "/site/ledger");
  EXPECT_EQ(settings->module, "/usr/lib/softhsm/libsofthsm2.so");
  EXPECT_EQ(settings->max_bytes_per_call, 65536U);
  EXPECT_EQ(settings->threads, 2U);
  EXPECT_EQ(settings->segment_rows, 1000U);
  EXPECT_FALSE(settings->check_digits);
  EXPECT_EQ(settings->reject_limit_rows, 5U);
  EXPECT_EQ(settings->reject_limit_percent, 20U);
  const auto token = settings->token(hsm::TokenRole::kIssuing);
  ASSERT_TRUE(token);
  EXPECT_EQ(token->uri, "pkcs11:token=a");
  EXPECT_EQ(token->pin_file, "/site/tokens/issuing/pin");
  EXPECT_EQ(token->softhsm_conf, "/etc/softhsm2.conf");
  EXPECT_EQ(token->role, hsm::TokenRole::kIssuing);
  EXPECT_EQ(token->max_bytes_per_call, 65536U);
}

TEST(Config, TokensWithoutAllowedMechanismsAreForTrialsAlone) {
  std::string text = kGood;
  const std::string after = "threads = 2\n";
  text.insert(text.find(after) + after.size(), "allowed_mechanisms = false\n");
  const auto settings = parse_settings(text, "/site/fugo.toml");
  ASSERT_TRUE(settings) << settings.error().message();
  EXPECT_FALSE(settings->token(hsm::TokenRole::kIssuing)->allowed_mechanisms);
  const std::string test = "\"test\"";
  text.replace(text.find(test), test.size(), "\"production\"");
  const auto refused = parse_settings(text, "/site/fugo.toml");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("hsm.allowed_mechanisms must not"));
}

TEST(Config, EvaluationInTwoCallsReachesTheToken) {
  std::string text = kGood;
  const std::string after = "threads = 2\n";
  text.insert(text.find(after) + after.size(), "evaluate_twice = true\n");
  const auto settings = parse_settings(text, "/site/fugo.toml");
  ASSERT_TRUE(settings) << settings.error().message();
  EXPECT_TRUE(settings->token(hsm::TokenRole::kIssuing)->evaluate_twice);
  EXPECT_FALSE(
      parse_settings(kGood, "/site/fugo.toml")->token(hsm::TokenRole::kIssuing)->evaluate_twice);
}

TEST(Config, CopiesOfTheJournal) {
  EXPECT_TRUE(parse_settings(kGood, "/site/fugo.toml")->journal_copies.empty());
  const auto settings = parse_settings(
      kGood + std::string("[journal]\ncopies = [\"/mnt/audit/\", \"copy\"]\n"), "/site/fugo.toml");
  ASSERT_TRUE(settings) << settings.error().message();
  const std::vector<std::filesystem::path> expected = {"/mnt/audit", "/site/copy"};
  EXPECT_EQ(settings->journal_copies, expected);
  const auto wrong = [](const std::string& copies) {
    return mistakes(kGood + std::string("[journal]\ncopies = ") + copies + "\n");
  };
  EXPECT_THAT(wrong("\"/a\""), HasSubstr("journal.copies must be a list"));
  EXPECT_THAT(wrong("[1]"), HasSubstr("journal.copies must hold paths"));
  EXPECT_THAT(wrong("[\"/a\", \"/b/../a/\"]"), HasSubstr("names a folder twice"));
}

TEST(Config, WhatMakesKeys) {
  const auto plain = parse_settings(kGood, "/site/fugo.toml");
  ASSERT_TRUE(plain) << plain.error().message();
  EXPECT_TRUE(plain->issuing->so_pin_file.empty());
  EXPECT_EQ(plain->recovery.package_directory, "/site/recovery");
  EXPECT_EQ(plain->recovery.public_key, "/site/recovery/recovery-public.pem");
  EXPECT_TRUE(plain->custodians.empty());
  auto text = with(kGood, "softhsm_conf =", "so_pin_file = \"so\"\nsofthsm_conf =");
  text +=
      "[recovery]\npublic_key = \"r.pem\"\npackage_directory = \"/safe\"\n"
      "[custodians]\nalice = \"keys/alice.pem\"\n\"bob-2.x\" = \"/bob.pem\"\n";
  const auto settings = parse_settings(text, "/site/fugo.toml");
  ASSERT_TRUE(settings) << settings.error().message();
  EXPECT_EQ(settings->issuing->so_pin_file, "/site/so");
  EXPECT_EQ(settings->recovery.public_key, "/site/r.pem");
  EXPECT_EQ(settings->recovery.package_directory, "/safe");
  ASSERT_EQ(settings->custodians.size(), 2U);
  EXPECT_EQ(settings->custodians[0].name, "alice");
  EXPECT_EQ(settings->custodians[0].public_key, "/site/keys/alice.pem");
  EXPECT_EQ(settings->custodians[1].name, "bob-2.x");
  EXPECT_THAT(mistakes(kGood + "[custodians]\n\"a=b\" = \"x\"\n"), HasSubstr("0-9A-Za-z._-"));
  EXPECT_THAT(mistakes(kGood + "[custodians]\na = 1\n"), HasSubstr("custodians.a must be"));
  EXPECT_THAT(mistakes(kGood + "[hsm.standby]\nuri = \"pkcs11:token=c\"\npin_file = \"p\"\n"
                               "so_pin_file = \"so\"\n"),
              HasSubstr("hsm.standby.so_pin_file is not a known key"));
}

TEST(Config, LogAndMetrics) {
  const auto settings = parse_settings(kGood, "/site/fugo.toml");
  ASSERT_TRUE(settings) << settings.error().message();
  EXPECT_EQ(settings->log.level, LogLevel::kWarning);
  EXPECT_EQ(settings->log.format, LogFormat::kJson);
  EXPECT_EQ(settings->metrics.address, "127.0.0.9");
  EXPECT_EQ(settings->metrics.port, 9464);
  EXPECT_EQ(settings->status_file(), "/site/ledger/fugod.json");
  const auto six = parse_settings(with(kGood, "127.0.0.9", "::1"), "/site/fugo.toml");
  ASSERT_TRUE(six) << six.error().message();
  EXPECT_EQ(six->metrics.address, "::1");
}

TEST(Config, Linking) {
  const auto settings = parse_settings(kGood, "/site/fugo.toml");
  ASSERT_TRUE(settings) << settings.error().message();
  EXPECT_EQ(settings->link.index, engine::IndexPolicy::kAhead);
  EXPECT_EQ(settings->link.index_bytes, std::size_t{64} << 20U);
  EXPECT_EQ(settings->link.quota_per_day, 7000U);
  EXPECT_FALSE(settings->link.combine);
  EXPECT_EQ(settings->link.patience, std::chrono::milliseconds(250));
  EXPECT_EQ(settings->link.time_zone, settings->time_zone);
}

TEST(Config, ReadingItLeavesTheTimeZoneOfTheProcessAlone) {
  ::setenv("TZ", "Pacific/Chatham", 1);
  EXPECT_TRUE(parse_settings(kGood, "/site/fugo.toml"));
  EXPECT_STREQ(::getenv("TZ"), "Pacific/Chatham");
  ::unsetenv("TZ");
}

TEST(Config, MetricsStayOnThisHost) {
  for (const char* address : {"0.0.0.0", "192.0.2.1", "::", "localhost", "128.0.0.1", ""})
    EXPECT_THAT(mistakes(with(kGood, "127.0.0.9", address)),
                HasSubstr("metrics.address must be a loopback address"))
        << address;
}

TEST(Config, WordsOfTheLog) {
  EXPECT_THAT(mistakes(with(kGood, "\"warning\"", "\"loud\"")),
              HasSubstr("log.level must be one of \"debug\", \"info\""));
  EXPECT_THAT(mistakes(with(kGood, "\"json\"", "1")), HasSubstr("log.format must be one of"));
  EXPECT_THAT(mistakes(with(kGood, "9464", "65536")),
              HasSubstr("metrics.port must be a whole number from 0 to 65535"));
}

TEST(Config, DefaultsAreThoseOfTheReference) {
  const auto settings = parse_settings(
      "environment = \"test\"\n[ledger]\ndirectory = \"l\"\n[hsm]\nmodule = \"m\"\n", "/a/b.toml");
  ASSERT_TRUE(settings) << settings.error().message();
  EXPECT_EQ(settings->time_zone, "Asia/Tokyo");
  EXPECT_EQ(settings->lock_memory, LockMemory::kPreferred);
  EXPECT_EQ(settings->segment_rows, 1'000'000U);
  EXPECT_TRUE(settings->check_digits);
  EXPECT_EQ(settings->reject_limit_rows, 100U);
  EXPECT_EQ(settings->reject_limit_percent, 10U);
  EXPECT_EQ(settings->threads, 0U);
  EXPECT_EQ(settings->link.index, engine::IndexPolicy::kLazy);
  EXPECT_EQ(settings->link.index_bytes, std::size_t{4096} << 20U);
  EXPECT_EQ(settings->link.quota_per_day, 0U);
  EXPECT_TRUE(settings->link.combine);
  EXPECT_EQ(settings->link.patience, std::chrono::milliseconds(5000));
  EXPECT_EQ(settings->link.time_zone, "Asia/Tokyo");
}

TEST(Config, ARoleWithoutASectionIsNamed) {
  const auto settings = parse_settings(kGood, "/site/fugo.toml");
  ASSERT_TRUE(settings);
  EXPECT_FALSE(settings->configured(hsm::TokenRole::kStandby));
  const auto token = settings->token(hsm::TokenRole::kStandby);
  ASSERT_FALSE(token);
  EXPECT_EQ(token.error().code, ErrorCode::kUsage);
  EXPECT_THAT(token.error().what, HasSubstr("[hsm.standby]"));
}

struct Mistake {
  const char* name;
  const char* from;
  const char* to;
  const char* expected;
};

class ConfigMistake : public testing::TestWithParam<Mistake> {};

TEST_P(ConfigMistake, IsNamedWithItsLine) {
  const auto& mistake = GetParam();
  EXPECT_THAT(mistakes(with(kGood, mistake.from, mistake.to)), HasSubstr(mistake.expected));
}

INSTANTIATE_TEST_SUITE_P(
    All, ConfigMistake,
    testing::Values(
        Mistake{"Environment", "\"test\"", "\"tset\"",
                "line 1: environment must be \"test\" or \"production\""},
        Mistake{"EnvironmentMissing", "environment = \"test\"", "", "environment is missing"},
        Mistake{"Zone", "Asia/Tokyo", "Asia/Tokio",
                "line 2: time_zone the time zone \"Asia/Tokio\" is not known"},
        Mistake{"ZoneType", "\"Asia/Tokyo\"", "9", "line 2: time_zone must be a text"},
        Mistake{"Lock", "\"required\"", "\"yes\"", "line 3: lock_memory must be \"preferred\""},
        Mistake{"UnknownKey", "lock_memory", "lock_memroy",
                "line 3: lock_memroy is not a known key"},
        Mistake{"LedgerType", "\"ledger\"", "1", "line 6: ledger.directory must be a path"},
        Mistake{"LedgerEmpty", "\"ledger\"", "\"\"", "line 6: ledger.directory must not be empty"},
        Mistake{"LedgerKeyMissing", "directory = \"ledger\"", "",
                "line 5: ledger.directory is missing"},
        Mistake{"LedgerMissing", "[ledger]\ndirectory = \"ledger\"", "",
                "the section [ledger] is missing"},
        Mistake{"ModuleMissing", "module = \"/usr/lib/softhsm/libsofthsm2.so\"", "",
                "line 8: hsm.module is missing"},
        Mistake{"CallTooSmall", "65536", "16",
                "line 10: hsm.max_bytes_per_call must be a whole number from 256 to 67108864"},
        Mistake{"CallNotOfBlocks", "65536", "1000",
                "line 10: hsm.max_bytes_per_call must be a whole number from 256 to 67108864, and "
                "a multiple of 16"},
        Mistake{"CallNotWhole", "65536", "65536.5", "line 10: hsm.max_bytes_per_call must be"},
        Mistake{"Threads", "threads = 2", "threads = -1", "line 11: hsm.threads must be"},
        Mistake{"UriScheme", "pkcs11:token=a", "token=a",
                "line 14: hsm.issuing.uri must be an RFC"},
        Mistake{"UriWithPin", "pkcs11:token=a", "pkcs11:token=a?pin-value=1234",
                "line 14: hsm.issuing.uri must not contain a PIN"},
        Mistake{"PinFileMissing", "pin_file = \"tokens/linking/pin\"", "",
                "line 18: hsm.linking.pin_file is missing"},
        Mistake{"UnknownSection", "[hsm.linking]", "[hsm.linkage]",
                "line 18: hsm.linkage is not a known section"},
        Mistake{"SegmentRows", "segment_rows = 1000", "segment_rows = 0",
                "line 23: issue.segment_rows must be a whole number from 1 to 4000000"},
        Mistake{"CheckDigits", "= false", "= \"no\"", "line 24: issue.check_digits must be true"},
        Mistake{"Percent", "= 20", "= 101",
                "line 26: issue.reject_limit_percent must be a whole number from 0 to 100"},
        Mistake{"Rows", "= 5", "= -5", "line 25: issue.reject_limit_rows must be"},
        Mistake{"ProductionCheckDigits", "\"test\"", "\"production\"",
                "line 24: issue.check_digits must not be switched off in production"},
        Mistake{"Index", "\"ahead\"", "\"soon\"",
                "line 29: linking.index must be \"lazy\" or \"ahead\""},
        Mistake{"IndexSize", "= 64", "= 0",
                "line 30: linking.index_mib must be a whole number from 1 to 16777216"},
        Mistake{"Quota", "7000", "-1", "line 31: linking.quota_per_day must be a whole number"},
        Mistake{"Combine", "combine = false", "combine = 0",
                "line 32: linking.combine must be true or false"},
        Mistake{"Patience", "= 250", "= 0",
                "line 33: linking.patience_ms must be a whole number from 1 to 600000"},
        Mistake{"UnknownLinkingKey", "quota_per_day", "quota",
                "line 31: linking.quota is not a known key"},
        Mistake{"Syntax", "threads = 2", "threads = ", "line 11: "},
        Mistake{"SectionIsValue", "[issue]\nsegment_rows = 1000", "[hsm.x]\n", "hsm.x is not a"},
        Mistake{"Twice", "threads = 2", "threads = 2\nthreads = 3", "line 12: "}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(Config, AllMistakesComeAtOnce) {
  auto text = with(kGood, "\"test\"", "\"tset\"");
  text = with(text, "= 20", "= 200");
  text = with(text, "threads = 2", "colour = 2");
  const auto what = mistakes(text);
  EXPECT_THAT(what, HasSubstr("3 mistakes"));
  EXPECT_THAT(what, HasSubstr("line 1:"));
  EXPECT_THAT(what, HasSubstr("line 11:"));
  EXPECT_THAT(what, HasSubstr("line 26:"));
  EXPECT_LT(what.find("line 1:"), what.find("line 11:"));
  EXPECT_LT(what.find("line 11:"), what.find("line 26:"));
}

TEST(Config, AMissingFileIsWrongUsage) {
  const auto settings = load_settings("/nonexistent/fugo.toml");
  ASSERT_FALSE(settings);
  EXPECT_EQ(settings.error().code, ErrorCode::kUsage);
  EXPECT_THAT(settings.error().hint, HasSubstr("--config"));
}

TEST(Config, TheFileIsFoundByOptionThenEnvironmentThenHere) {
  ::unsetenv("FUGO_CONFIG");
  EXPECT_EQ(settings_path(std::nullopt), "fugo.toml");
  ::setenv("FUGO_CONFIG", "/e/fugo.toml", 1);
  EXPECT_EQ(settings_path(std::nullopt), "/e/fugo.toml");
  EXPECT_EQ(settings_path("/o/fugo.toml"), "/o/fugo.toml");
  ::unsetenv("FUGO_CONFIG");
}

}  // namespace
}  // namespace fugo::daemon
