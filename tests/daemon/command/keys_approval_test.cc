// Custodians: keys are made and destroyed only with two different people's signatures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/command/keys_fixture.h"

namespace fugo::test {
namespace {

using ::testing::HasSubstr;

// ApprovalTest has three custodians, each with a key of another kind.
class ApprovalTest : public testing::Test {
 protected:
  ApprovalTest() {
    custodians_.add("alice", "EC -pkeyopt ec_paramgen_curve:P-256");
    custodians_.add("bob", "RSA -pkeyopt rsa_keygen_bits:3072");
    custodians_.add("carol", "ED25519");
    custodians_.configure(site_);
  }

  [[nodiscard]] std::string path(const std::string& name) const {
    return (site_.scratch() / name).string();
  }
  [[nodiscard]] std::string public_key(const std::string& name) const {
    return custodians_.public_key(name);
  }
  [[nodiscard]] std::string sign(const std::string& name, const std::string& file) const {
    return custodians_.sign(name, file);
  }

  [[nodiscard]] std::string request_create(const TestSite& site, const std::string& name) const {
    const auto file = path(name);
    const auto asked =
        site.run({"keys", "request", "create", "--purpose", "record", "--out", file});
    EXPECT_EQ(asked.exit_code, 0) << asked.err;
    return file;
  }
  [[nodiscard]] CommandResult create(const std::string& request,
                                     const std::vector<std::string>& approvals) const {
    std::vector<std::string> words = {"--json", "--operator", "dave",  "keys",
                                      "create", "--purpose",  "record"};
    if (!request.empty()) words.insert(words.end(), {"--request", request});
    for (const auto& approval : approvals) words.insert(words.end(), {"--approval", approval});
    return site_.run(words);
  }
  void expect_refused(const CommandResult& result, const std::string& why) const {
    EXPECT_EQ(result.exit_code, 1) << result.err;
    EXPECT_THAT(result.err, HasSubstr(why));
    EXPECT_TRUE(site_.journal("keys.create.start").empty());
  }

  const KeySite site_;
  Custodians custodians_{site_.scratch()};
};

TEST_F(ApprovalTest, TwoOfThreeKindsOfKeysSuffice) {
  const auto request = request_create(site_, "request");
  EXPECT_THAT(read_file(request), HasSubstr("act=keys.create\nkey=fugo-record-aes256-v2\n"));
  const auto made = create(request, {sign("alice", request), sign("carol", request)});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const auto entry = site_.journal("keys.create").at(0);
  EXPECT_EQ(entry["operator"], "dave");
  EXPECT_EQ(entry["details"]["custodians"], nlohmann::json::array({"alice", "carol"}));
  EXPECT_EQ(entry["details"]["request"].get<std::string>().size(), 64U);

  const auto replayed = create(request, {sign("alice", request), sign("carol", request)});
  EXPECT_EQ(replayed.exit_code, 1);
  EXPECT_THAT(replayed.err, HasSubstr("was used already"));
  EXPECT_EQ(site_.journal("keys.create").size(), 1U);
}

TEST_F(ApprovalTest, WhatDoesNotSuffice) {
  const auto request = request_create(site_, "request");
  const auto alice = sign("alice", request), bob = sign("bob", request);
  expect_refused(create("", {}), "two custodians must approve");
  expect_refused(create(request, {alice}), "1 approvals were given");
  expect_refused(create(request, {alice, alice}), "two different custodians");
  expect_refused(create(request, {alice, "mallory=" + request + ".bob.sig"}),
                 "no custodian mallory");
  expect_refused(create(request, {alice, "bob=" + request + ".alice.sig"}), "not that custodian's");

  write_file(path("changed"), read_file(request) + "\n");
  expect_refused(create(path("changed"), {alice, bob}), "was changed");
  auto later = read_file(request);
  later.replace(later.find("expires=2"), 9, "expires=3");
  write_file(path("later"), later);
  expect_refused(create(path("later"), {alice, bob}), "not that custodian's");
  auto expired = read_file(request);
  const auto at = expired.find("expires=") + 8;
  expired.replace(at, expired.find('\n', at) - at, "2020-01-01T00:00:00Z");
  write_file(path("expired"), expired);
  expect_refused(
      create(path("expired"), {sign("alice", path("expired")), sign("bob", path("expired"))}),
      "expired");

  auto keys = read_file(request);
  keys.replace(keys.find("record-aes256"), 13, "linkage-aes256");
  write_file(path("keys"), keys);
  expect_refused(create(path("keys"), {sign("alice", path("keys")), sign("bob", path("keys"))}),
                 "other keys");
  auto head = read_file(request);
  const auto hash = head.find("journal_head=") + 13;
  head[hash] = head[hash] == '0' ? '1' : '0';
  write_file(path("head"), head);
  expect_refused(create(path("head"), {sign("alice", path("head")), sign("bob", path("head"))}),
                 "another journal");
  // Well signed, and not what is asked for, or not in the form that there is.
  const auto sound = read_file(request);
  const auto expect_signed_refused = [&](const std::string& text, const std::string& why) {
    write_file(path("odd"), text);
    expect_refused(create(path("odd"), {sign("alice", path("odd")), sign("bob", path("odd"))}),
                   why);
  };
  auto text = sound;
  text.replace(text.find("environment=test"), 16, "environment=production");
  expect_signed_refused(text, "another ledger");
  text = sound;
  const auto entries = text.find("journal_entries=");
  text.replace(entries, text.find('\n', entries) - entries, "journal_entries=999999");
  expect_signed_refused(text, "that there is not");
  text.replace(entries, text.find('\n', entries) - entries, "journal_entries=0");
  expect_signed_refused(text, "that there is not");
  text = sound;
  expect_signed_refused(text.insert(entries, "note=nothing\n"), "was changed");
  text = sound;
  expect_signed_refused(text.insert(entries, "site=0011\n"), "was changed");  // in another place
  EXPECT_EQ(create(request, {alice, bob}).exit_code, 0) << "the request itself was good";
}

TEST_F(ApprovalTest, AnotherLedgersApprovalAndASharedKeyAreRefused) {
  const TestSite other(std::vector<std::string>{});
  const auto request = request_create(other, "other");
  expect_refused(create(request, {sign("alice", request), sign("bob", request)}), "another ledger");

  const KeySite shared;
  write_file(shared.config(), read_file(shared.config()) + "\n[custodians]\nalice = \"" +
                                  public_key("alice") + "\"\nann = \"" + public_key("alice") +
                                  "\"\n");
  const auto mine = (shared.scratch() / "request").string();
  ASSERT_EQ(
      shared.run({"keys", "request", "create", "--purpose", "record", "--out", mine}).exit_code, 0);
  const auto alice = sign("alice", mine);
  const auto result = shared.run({"keys", "create", "--purpose", "record", "--request", mine,
                                  "--approval", alice, "--approval", "ann=" + mine + ".alice.sig"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("same key"));
}

TEST_F(ApprovalTest, ADestructionIsApprovedOnceAndMayGoOn) {
  const auto making = request_create(site_, "request");
  ASSERT_EQ(create(making, {sign("alice", making), sign("bob", making)}).exit_code, 0);
  const std::vector<std::string> labels = {"fugo-record-aes256-v2", "fugo-record-hmac-v2"};
  for (const auto& label : labels) ASSERT_EQ(site_.run({"keys", "retire", label}).exit_code, 0);
  const auto request = path("destroy");
  ASSERT_EQ(
      site_.run({"keys", "request", "destroy", labels[0], labels[1], "--out", request}).exit_code,
      0);
  EXPECT_THAT(read_file(request), HasSubstr(",fingerprint="));
  const auto destroy = [&](const std::string& file) {
    return site_.run({"--json", "keys", "destroy", labels[0], labels[1], "--out",
                      path("statement.json"), "--request", file, "--approval", sign("bob", file),
                      "--approval", sign("carol", file)});
  };
  const auto wrong = destroy(making);
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("is for keys.create, not for keys.destroy"));
  site_.hide("linking");
  EXPECT_EQ(destroy(request).exit_code, 1);
  site_.hide("linking", false);
  const auto done = destroy(request);
  ASSERT_EQ(done.exit_code, 0) << done.err;
  const auto statement = nlohmann::json::parse(read_file(path("statement.json")));
  EXPECT_EQ(statement["approval"]["custodians"], nlohmann::json::array({"bob", "carol"}));
}

TEST_F(ApprovalTest, ARegenerationMakesItsKeysWithTheApproval) {
  const auto plan = [&](const std::vector<std::string>& approval) {
    std::vector<std::string> words = {"--json", "regenerate", "plan",   "--what",
                                      "record", "--reason",   "a trial"};
    words.insert(words.end(), approval.begin(), approval.end());
    return site_.run(words);
  };
  const auto request = request_create(site_, "request");
  const auto refused = plan({});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("two custodians must approve"));
  EXPECT_TRUE(site_.journal("regenerate.planning").empty());
  const auto planned = plan({"--request", request, "--approval", sign("alice", request),
                             "--approval", sign("bob", request)});
  ASSERT_EQ(planned.exit_code, 0) << planned.err;
  EXPECT_EQ(site_.state("fugo-record-aes256-v2"), "pending");
  const auto entry = site_.journal("regenerate.planning").at(0);
  EXPECT_EQ(entry["details"]["custodians"], nlohmann::json::array({"alice", "bob"}));
  const auto used = create(request, {sign("alice", request), sign("bob", request)});
  EXPECT_EQ(used.exit_code, 1);
  EXPECT_THAT(used.err, HasSubstr("was used already"));
}

TEST(Approval, IsNotTakenWhereNoCustodiansAreConfigured) {
  const KeySite site;
  const auto result = site.run({"keys", "create", "--purpose", "record", "--request", "x"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("no custodians are configured"));
}

}  // namespace
}  // namespace fugo::test
