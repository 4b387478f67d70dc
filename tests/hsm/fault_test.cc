// Faults of the device in the middle of work, by a module that wraps the real one.
#include <gtest/gtest.h>

#include <atomic>

#include "hsm/setup.h"
#include "tests/hsm/fault_script.h"
#include "tests/hsm/raw_session.h"
#include "tests/hsm/token_fixture.h"

namespace fugo::hsm::testing {
namespace {

constexpr KeyName kLinkageKey{KeyPurpose::kLinkage, KeyAlgorithm::kAes256, 1};
constexpr KeyName kAgencyKey{KeyPurpose::kAgency, KeyAlgorithm::kAes256, 1};
constexpr KeyName kLinkageHmac{KeyPurpose::kLinkage, KeyAlgorithm::kHmacSha256, 1};

// faults is the script of this program's fault module.
const FaultScript& faults() {
  static const FaultScript script = [] {
    FaultScript made(shared_directory() / "faults");
    made.use();
    return made;
  }();
  return script;
}

TokenSettings faulty(TokenSettings settings) {
  faults();
  settings.module = fault_module();
  settings.max_bytes_per_call = 64 * 1024;
  return settings;
}

// What makes symbols of AES keys here.
std::string bulk() { return abilities().blocks ? "C_Encrypt" : "C_Sign"; }

// evaluate encrypts 0, 1, 2 ..., or makes their CMAC, and counts what was drained.
Status evaluate(Token& token, const Key& key, std::vector<Block>& to, std::size_t& drained) {
  std::atomic<std::size_t> count{0};
  const auto number = [](std::size_t i) {
    Block block;
    store_be<std::uint64_t>(block.bytes.data(), i);
    return block;
  };
  const auto drain = [&](std::size_t first, std::span<const Block> blocks) {
    std::copy(blocks.begin(), blocks.end(), to.begin() + static_cast<std::ptrdiff_t>(first));
    count += blocks.size();
  };
  const Fill blocks = [&](std::size_t first, std::span<Block> some) {
    for (std::size_t i = 0; i < some.size(); ++i) some[i] = number(first + i);
  };
  const Messages messages = [&](std::size_t first, std::span<Message> some) {
    for (std::size_t i = 0; i < some.size(); ++i) some[i] = {number(first + i), Block{}};
  };
  auto done = key.blocks ? token.encrypt(key, to.size(), blocks, drain)
                         : token.mac(key, to.size(), messages, drain);
  drained = count;
  return done;
}

class Faults : public ::testing::Test {
 protected:
  void SetUp() override {
    token_ = *Token::open(faulty(shared_tokens().issuing));
    key_ = find_shared(*token_, kLinkageKey);
    std::size_t drained = 0;
    ASSERT_TRUE(evaluate(*token_, key_, right_, drained));
    ASSERT_EQ(drained, right_.size());
  }
  void TearDown() override { faults().lift(); }
  std::shared_ptr<Token> token_;
  Key key_;
  std::vector<Block> right_ = std::vector<Block>(abilities().blocks ? 20'000 : 2'000);
};

TEST_F(Faults, EveryErrorThatSpoilsASessionIsRecoveredFrom) {
  for (const CK_RV rv :
       {CKR_SESSION_HANDLE_INVALID, CKR_SESSION_CLOSED, CKR_USER_NOT_LOGGED_IN, CKR_DEVICE_ERROR,
        CKR_DEVICE_REMOVED, CKR_TOKEN_NOT_PRESENT, CKR_OBJECT_HANDLE_INVALID, CKR_GENERAL_ERROR}) {
    faults().set(bulk() + " after 2 times 1 rv " + rv_name(rv));
    faults().clear_log();
    std::vector<Block> again(right_.size());
    std::size_t drained = 0;
    const auto done = evaluate(*token_, key_, again, drained);
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_EQ(faults().log(), bulk() + " rv " + rv_name(rv) + "\n");
    EXPECT_EQ(drained, right_.size());
    EXPECT_TRUE(again == right_) << rv_name(rv);
  }
}

TEST_F(Faults, OtherErrorsAreReportedByName) {
  faults().set(bulk() + " times 1 rv CKR_DATA_INVALID");
  std::vector<Block> again(right_.size());
  std::size_t drained = 0;
  const auto done = evaluate(*token_, key_, again, drained);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kHsm);
  EXPECT_EQ(done.error().native, CKR_DATA_INVALID);
  EXPECT_NE(done.error().message().find(bulk() + ": the token answered CKR_DATA_INVALID"),
            std::string::npos);
}

TEST_F(Faults, HandlesRenumberedInTheMiddleAreFoundAndLookedUpAnew) {
  faults().set(bulk() + "Init after 1 times 1 renumber");
  std::vector<Block> again(right_.size());
  std::size_t drained = 0;
  const Health before = token_->health();
  const auto done = evaluate(*token_, key_, again, drained);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(drained, right_.size());
  EXPECT_TRUE(again == right_);
  // The handle named another key, or one that must not encrypt: both are noticed.
  EXPECT_GT(token_->health().recoveries_succeeded, before.recoveries_succeeded);
}

TEST_F(Faults, AFlippedBitOfTheKnownBlockIsFound) {
  faults().set(bulk() + " wrong first");
  std::vector<Block> again(right_.size());
  std::size_t drained = 1;
  EXPECT_FALSE(evaluate(*token_, key_, again, drained));
  EXPECT_EQ(drained, 0U);
}

TEST_F(Faults, SignaturesRecoverToo) {
  const Key key = find_shared(*token_, kLinkageHmac);
  SecretBytes<16> one, two;
  ASSERT_TRUE(token_->sign(key, as_bytes("message"), one.bytes()));
  faults().set("C_Sign times 1 rv CKR_DEVICE_ERROR");
  ASSERT_TRUE(token_->sign(key, as_bytes("message"), two.bytes()));
  EXPECT_TRUE(equal_in_constant_time(one.bytes(), two.bytes()));
}

// All sessions gone, as after the token was pulled: login and handles are gone with them.
TEST_F(Faults, ComesBackAfterAllSessionsWereClosed) {
  {
    auto session = open_raw(shared_tokens().issuing);
    ASSERT_TRUE(session);
    CK_SESSION_INFO info{};
    ASSERT_EQ(session->functions()->C_GetSessionInfo(session->handle(), &info), CKR_OK);
    ASSERT_EQ(session->functions()->C_CloseAllSessions(info.slotID), CKR_OK);
  }
  std::vector<Block> again(right_.size());
  std::size_t drained = 0;
  const auto done = evaluate(*token_, key_, again, drained);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(again == right_);
}

// What is not called by a Token: each error is told, with its name, and nothing is left behind.
TEST(CeremonyFaults, EveryErrorAtTheBeginningIsTold) {
  const auto token = make_scratch_token("errors", TokenRole::kIssuing);
  const auto recovery = make_recovery_key_pair(shared_directory() / "errors-recovery");
  ASSERT_TRUE(recovery);
  const auto settings = faulty(token.settings);
  const auto package = shared_directory() / "errors.json";
  for (const CK_RV rv :
       {CKR_SESSION_HANDLE_INVALID, CKR_SESSION_CLOSED, CKR_USER_NOT_LOGGED_IN, CKR_DEVICE_ERROR,
        CKR_DEVICE_REMOVED, CKR_TOKEN_NOT_PRESENT, CKR_OBJECT_HANDLE_INVALID, CKR_GENERAL_ERROR,
        CKR_FUNCTION_FAILED, CKR_HOST_MEMORY, CKR_DEVICE_MEMORY}) {
    for (const char* function : {"C_InitToken", "C_GenerateKeyPair"}) {
      faults().set(std::string(function) + " times 1 rv " + rv_name(rv));
      Error error;
      if (function == std::string("C_InitToken")) {
        const auto done = initialise_token(settings.module, settings.softhsm_conf, "errors-two",
                                           token.so_pin_file, settings.pin_file);
        ASSERT_FALSE(done);
        error = done.error();
      } else {
        const auto made = run_ceremony({{settings, token.so_pin_file}}, {kLinkageKey},
                                       recovery->public_key, package);
        ASSERT_FALSE(made);
        error = made.error();
      }
      EXPECT_EQ(error.code, ErrorCode::kHsm) << error.message();
      EXPECT_EQ(error.native, rv) << error.message();
    }
  }
  faults().lift();
  auto session = open_raw(token.settings);
  ASSERT_TRUE(session);
  Template anything;
  EXPECT_TRUE(find_objects(session->functions(), session->handle(), anything)->empty());
}

// Point is a call of a ceremony, after so many of that function.
struct Point {
  const char* function;
  int passes;
};

// In order of the ceremony: wrapping; the first target's public key, the last of its objects;
// the second target's key, after the first target's transport key and three keys.
// Every call of a ceremony that can fail does, once: nothing may be left in any target.
TEST(CeremonyFaults, AFailureInTheMiddleLeavesNothing) {
  const auto one = make_scratch_token("undo-one", TokenRole::kIssuing);
  const auto two = make_scratch_token("undo-two", TokenRole::kLinking);
  std::vector<CeremonyTarget> targets = {{faulty(one.settings), one.so_pin_file},
                                         {faulty(two.settings), {}}};
  // Keys that are made elsewhere are wrapped there, without a fault.
  std::vector<Point> points = {{"C_WrapKey", 5}, {"C_CreateObject", 3}, {"C_UnwrapKey", 4}};
  if (!abilities().security_officer) {
    const auto source = make_source_token("undo-source", TokenRole::kStandby);
    targets.insert(targets.begin(), {source.settings, source.so_pin_file});
    points = {{"C_CreateObject", 0}, {"C_UnwrapKey", 4}};
  }
  const std::vector<KeyName> names = {
      kAgencyKey, kLinkageKey, {KeyPurpose::kJournal, KeyAlgorithm::kEcP256, 1}};
  const auto recovery = make_recovery_key_pair(shared_directory() / "undo-recovery");
  ASSERT_TRUE(recovery);
  const auto package = shared_directory() / "undo.json";
  for (const Point& at : points) {
    SCOPED_TRACE(std::string(at.function) + " " + std::to_string(at.passes));
    faults().set(std::string(at.function) + " after " + std::to_string(at.passes) +
                 " times 1 rv CKR_DEVICE_ERROR");
    const auto made = run_ceremony(targets, names, recovery->public_key, package);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().native, CKR_DEVICE_ERROR) << made.error().message();
    EXPECT_FALSE(std::filesystem::exists(package));
    for (const auto& token : {one, two}) {
      auto session = open_raw(token.settings);
      ASSERT_TRUE(session);
      Template anything;
      EXPECT_TRUE(find_objects(session->functions(), session->handle(), anything)->empty());
    }
  }
  const auto made = run_ceremony(targets, names, recovery->public_key, package);
  ASSERT_TRUE(made) << made.error().message();
  const auto again = run_ceremony(targets, names, recovery->public_key, package.string() + "2");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kRefused);
  EXPECT_TRUE((*Token::open(one.settings))->find_key(kLinkageKey, made->keys[1].fingerprint));
}

}  // namespace
}  // namespace fugo::hsm::testing
