// Linking while the token is away, answers errors, hangs or computes wrongly: every call has a
// status, no answer is wrong, and when the token works again so does linking.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/daemon/link/linked_site.h"
#include "tests/hsm/fault_script.h"

namespace fugo::test {

using engine::Linking;
using engine::LinkingSettings;
using engine::LinkStatus;
using hsm::testing::FaultScript;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t kPeople = 60;
// Many times what a call may wait, for a machine that is busy with other things.
constexpr std::chrono::seconds kSoon{20};

// The fault module reads its script's name once.
const FaultScript& faults() {
  static const TemporaryDirectory directory;
  static const FaultScript script(directory.path() / "faults");
  return script;
}

// TroubledLinking is a Linking over the fault module, in this process; other processes use the real
// one.
class TroubledLinking : public testing::Test {
 protected:
  static void SetUpTestSuite() { faults().use(); }
  void SetUp() override {
    std::vector<LinkedSite::Issuance> wanted;
    for (std::size_t i = 0; i < kPeople; ++i)
      for (const auto& agency : kLinkAgencies) wanted.emplace_back(agency, i);
    site_.issue(wanted);
    settings_.patience = milliseconds(200);
  }
  void TearDown() override {
    faults().lift();
    linking_.reset();
    hsm::finalize_all();
  }
  void open(bool evaluate_twice = false) {
    linking_ = site_.open(settings_, [&](hsm::TokenSettings& token) {
      token.module = hsm::testing::fault_module();
      token.call_limit = milliseconds(300);
      token.first_pause = milliseconds(1);
      token.longest_pause = milliseconds(5);
      token.evaluate_twice = evaluate_twice;
    });
    ASSERT_TRUE(linking_);
  }
  LinkStatus ask(const std::string& from, const std::string& to, std::size_t who) {
    return check(link_one(*linking_, {from, to, site_.symbol(from, who)}), who);
  }
  // check gives the status of an answer, which must be right.
  LinkStatus check(const Asked& asked, std::size_t who) {
    const bool ok = asked.status == LinkStatus::kOk;
    EXPECT_EQ(asked.linked, ok ? site_.symbol(asked.to, who) : Block{});
    EXPECT_EQ(asked.record != Block{}, ok);
    return asked.status;
  }
  // Everybody in one call, by every agency for every other; how many were answered. The others are
  // unavailable.
  std::size_t ask_everybody() {
    std::vector<Asked> asked;
    for (std::size_t i = 0; i < kPeople; ++i)
      for (const auto& from : kLinkAgencies)
        for (const auto& to : kLinkAgencies) asked.push_back({from, to, site_.symbol(from, i)});
    link_all(*linking_, asked);
    std::size_t answered = 0;
    for (std::size_t i = 0; i < asked.size(); ++i) {
      const auto status = check(asked[i], i / (asked.size() / kPeople));
      EXPECT_TRUE(status == LinkStatus::kOk || status == LinkStatus::kUnavailable)
          << engine::link_status_name(status);
      answered += status == LinkStatus::kOk ? 1 : 0;
    }
    return answered;
  }
  static constexpr std::size_t kEverybody = kPeople * 16;

  bool works_again() {
    for (int tries = 0; tries < 5000; ++tries) {
      if (linking_->find_agency("131016") && ask("131016", "141003", 5) == LinkStatus::kOk)
        return ask_everybody() == kEverybody;
      std::this_thread::sleep_for(milliseconds(2));
    }
    return false;
  }

  const LinkedSite& site() const { return site_; }
  LinkedSite site_;
  LinkingSettings settings_;
  std::unique_ptr<Linking> linking_;
};

TEST_F(TroubledLinking, ATokenThatIsAwayIsUnavailableAndComesBackByItself) {
  open();
  for (const bool with_tables : {false, true}) {
    if (with_tables) {
      ASSERT_TRUE(linking_->prepare({}));
    }
    faults().set("gone");
    for (const auto& from : kLinkAgencies)
      EXPECT_EQ(ask(from, "141003", 1), LinkStatus::kUnavailable) << from;
    EXPECT_EQ(ask_everybody(), 0U);
    EXPECT_NE(linking_->health().last_error, "");
    faults().lift();
    EXPECT_TRUE(works_again()) << linking_->health().last_error;
  }
}

TEST_F(TroubledLinking, WhatChangedWhileTheTokenWasAwayIsSeenAfterwards) {
  open();
  ASSERT_EQ(ask("131016", "141003", 5), LinkStatus::kOk);
  const auto from = number(*linking_, "131016"), to = number(*linking_, "141003");
  const Block symbol = site().symbol("131016", 5);
  faults().set("gone");
  // The registry changes meanwhile, and the keys of its new view cannot be looked up.
  write_file(site().site().scratch() / "more.csv", "agency_code,name,method\n401005,Kitakyushu,\n");
  site().run({"agency", "import", (site().site().scratch() / "more.csv").string()});
  Block linked;
  LinkStatus status = LinkStatus::kUnknown;
  linking_->link({&from, 1}, {&to, 1}, {&symbol, 1}, {&linked, 1}, {}, {&status, 1});
  EXPECT_EQ(status, LinkStatus::kUnavailable);
  EXPECT_FALSE(linking_->find_agency("131016"));  // an error, not "there is none"
  EXPECT_FALSE(linking_->find_agency("999999"));
  faults().lift();
  EXPECT_TRUE(works_again()) << linking_->health().last_error;
  EXPECT_NE(number(*linking_, "401005"), 0);
}

TEST_F(TroubledLinking, ErrorsOfCallsAreMendedOrTold) {
  open();
  for (const std::string error :
       {"CKR_DEVICE_ERROR", "CKR_SESSION_HANDLE_INVALID", "CKR_USER_NOT_LOGGED_IN",
        "CKR_KEY_HANDLE_INVALID", "CKR_GENERAL_ERROR", "CKR_FUNCTION_FAILED"})
    for (const std::string times : {"times 1 ", "times 3 ", ""}) {
      faults().set("C_Encrypt " + times + "rv " + error + "\nC_Sign " + times + "rv " + error +
                   "\nC_Decrypt " + times + "rv " + error);
      (void)ask_everybody();
      for (const auto& from : kLinkAgencies) {
        const auto status = ask(from, "472018", 7);
        EXPECT_TRUE(status == LinkStatus::kUnavailable || status == LinkStatus::kOk) << error;
      }
      faults().lift();
      ASSERT_TRUE(works_again()) << error << ": " << linking_->health().last_error;
    }
}

// A call that hangs keeps its own thread; all others get an answer, about when their patience ends.
TEST_F(TroubledLinking, ACallThatHangsIsWaitedForNoLongerThanThePatience) {
  open();
  ASSERT_TRUE(linking_->prepare({}));
  ASSERT_EQ(ask("131016", "141003", 5), LinkStatus::kOk);
  const std::size_t before = faults().happened();
  faults().set("C_Encrypt times 1 hang");
  Asked hanging{"131016", "141003", site_.symbol("131016", 1)};
  std::thread thread([&] { hanging = link_one(*linking_, hanging); });
  while (faults().happened() == before) std::this_thread::sleep_for(milliseconds(1));
  const auto began = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < 3; ++i)  // singles gather behind it
    EXPECT_EQ(ask("131016", "141003", i), LinkStatus::kUnavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - began, kSoon);
  EXPECT_EQ(ask_everybody(), kEverybody);  // a large call waits for nobody
  faults().lift();
  thread.join();
  EXPECT_EQ(check(hanging, 1), LinkStatus::kOk);
  EXPECT_TRUE(works_again());
}

// The table of an agency is being built by a thread that hangs.
TEST_F(TroubledLinking, ATableThatIsNotReadyIsWaitedForNoLongerThanThePatience) {
  settings_.combine = false;
  open();
  const std::size_t before = faults().happened();
  faults().set("C_Encrypt times 1 hang");
  Asked hanging{"131016", "141003", site_.symbol("131016", 1)};
  std::thread thread([&] { hanging = link_one(*linking_, hanging); });
  while (faults().happened() == before) std::this_thread::sleep_for(milliseconds(1));
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(ask("131016", "141003", 2), LinkStatus::kUnavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - began, kSoon);
  EXPECT_EQ(ask("141003", "131016", 2), LinkStatus::kOk);  // needs no table
  EXPECT_EQ(ask("472018", "141003", 2), LinkStatus::kOk);  // has one of its own
  faults().lift();
  thread.join();
  EXPECT_EQ(check(hanging, 1), LinkStatus::kOk);
  EXPECT_TRUE(works_again());
}

// The same with calls that are combined: who needs the table waits for it beside the others, who
// have their answers, also those that are asked for in the same call.
TEST_F(TroubledLinking, ATableThatIsNotReadyConcernsItsAgencyAlone) {
  open();
  ASSERT_EQ(ask("472018", "141003", 2), LinkStatus::kOk);
  const std::size_t before = faults().happened();
  faults().set("C_Encrypt times 1 hang");
  Asked hanging{"131016", "141003", site_.symbol("131016", 1)};
  std::thread thread([&] { hanging = link_one(*linking_, hanging); });
  while (faults().happened() == before) std::this_thread::sleep_for(milliseconds(1));
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(ask("141003", "131016", i), LinkStatus::kOk) << linking_->health().last_error;
    EXPECT_EQ(ask("472018", "141003", i), LinkStatus::kOk) << linking_->health().last_error;
    EXPECT_EQ(ask("131130", "141003", i), LinkStatus::kOk) << "its table is made meanwhile";
  }
  for (const std::size_t more :
       {std::size_t{4}, std::size_t{300}}) {  // combined, and too many for it
    std::vector<Asked> asked;
    for (std::size_t i = 0; i < more; ++i)
      asked.push_back({kLinkAgencies[i % 4], "141003", site_.symbol(kLinkAgencies[i % 4], i % 50)});
    const auto began = std::chrono::steady_clock::now();
    link_all(*linking_, asked);
    EXPECT_LT(std::chrono::steady_clock::now() - began, kSoon);
    for (std::size_t i = 0; i < more; ++i)
      EXPECT_EQ(check(asked[i], i % 50),
                kLinkAgencies[i % 4] == "131016" ? LinkStatus::kUnavailable : LinkStatus::kOk);
  }
  faults().lift();
  thread.join();
  EXPECT_EQ(check(hanging, 1), LinkStatus::kOk);
  EXPECT_TRUE(works_again());
}

// All tables are being made in one pass that hangs: who needs one of them makes it.
TEST_F(TroubledLinking, APreparationThatHangsIsNotWaitedFor) {
  open();
  const std::size_t before = faults().happened();
  faults().set("C_Encrypt times 1 hang");
  std::thread thread([&] { EXPECT_TRUE(linking_->prepare({})); });
  while (faults().happened() == before) std::this_thread::sleep_for(milliseconds(1));
  for (const auto& from : kLinkAgencies)
    for (std::size_t i = 0; i < 3; ++i)
      EXPECT_EQ(ask(from, "141003", i), LinkStatus::kOk) << linking_->health().last_error;
  faults().lift();
  thread.join();
  EXPECT_TRUE(works_again());
}

// Wherever a bit is flipped in what the token gives, nobody gets a wrong symbol.
TEST_F(TroubledLinking, AWrongAnswerOfTheTokenGivesNoWrongSymbol) {
  for (const bool twice : {false, true}) {
    open(twice);
    ASSERT_TRUE(linking_->prepare({}));
    for (const std::string where : {"first", "middle", "last"}) {
      for (const std::string call : {"C_Encrypt", "C_Sign", "C_Decrypt"}) {
        // What lies between known blocks, or known messages, can be wrong unnoticed: that is what
        // evaluating twice is for.
        if ((where == "middle" || call == "C_Sign") && !twice) continue;
        for (int after = 0; after < 3; ++after) {
          faults().set(call + " after " + std::to_string(after) + " times 1 wrong " + where);
          (void)ask_everybody();
          faults().lift();
          ASSERT_TRUE(works_again()) << call << " " << where;
          ASSERT_FALSE(HasFailure()) << call << " " << where << " after " << after << " " << twice;
        }
      }
    }
    linking_.reset();
    hsm::finalize_all();
  }
}

}  // namespace
}  // namespace fugo::test
