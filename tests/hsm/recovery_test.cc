// How a token comes back, and what happens while it does not.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "hsm/login.h"
#include "tests/hsm/fault_bench.h"
#include "tests/hsm/token_fixture.h"

namespace fugo::hsm::testing {
namespace {

using std::chrono::milliseconds;

std::uint64_t calls_of(Token& token, const std::string& function) {
  for (const auto& row : token.health().functions)
    if (row.function == function) return row.count;
  return 0;
}

void touch(const std::filesystem::path& file) {
  std::filesystem::last_write_time(file, std::filesystem::file_time_type::clock::now());
}

TEST(Recovery, ATokenThatWasPulledOutComesBackByItself) {
  FaultBench bench;
  for (int round = 0; round < 3; ++round) {
    bench.faults().set("gone");
    for (const Act& act : bench.acts()) {
      const auto answer = act.run();
      ASSERT_FALSE(answer) << act.name;
      EXPECT_EQ(answer.error().code, ErrorCode::kHsm) << answer.error().message();
    }
    EXPECT_EQ(bench.token().health().state, TokenState::kFailed);
    EXPECT_FALSE(bench.token().health().last_error.empty());
    bench.faults().lift();
    for (const Act& act : bench.acts()) {
      const auto again = bench.works_again(act);
      ASSERT_TRUE(again) << act.name << ": " << again.error().message();
    }
    EXPECT_EQ(bench.token().health().state, TokenState::kOk);
  }
  EXPECT_GT(bench.token().health().reinitialisations, 0U);
  EXPECT_GT(bench.token().health().sessions_dropped, 0U);
}

// While the token is away, many threads call it: one attempt is made, and the others fail at once.
TEST(Recovery, IsTriedOnceForAllThreadsAndNotBeforeItIsDue) {
  FaultBench bench([](TokenSettings& settings) {
    settings.first_pause = std::chrono::hours(1);
    settings.longest_pause = std::chrono::hours(1);
  });
  bench.faults().set("gone");
  const Act& act = bench.act("fingerprint_of");
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      for (int call = 0; call < 50; ++call) {
        const auto answer = act.run();
        if (answer || answer.error().code != ErrorCode::kHsm) ++wrong;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  const Health health = bench.token().health();
  EXPECT_EQ(health.recoveries_tried, 1U);
  EXPECT_EQ(health.recoveries_succeeded, 0U);
  EXPECT_GT(health.next_try, milliseconds(0));
  EXPECT_NE(act.run().error().hint.find("tries again by itself"), std::string::npos);
  bench.faults().lift();
  EXPECT_FALSE(act.run());  // not due yet
}

TEST(Recovery, APinThatWasRefusedIsNotOfferedAgainUntilItsFileIsTouched) {
  for (const std::string refusal : {"CKR_PIN_INCORRECT", "CKR_PIN_LOCKED"}) {
    FaultBench bench;
    Token& token = bench.token();
    const Act& act = bench.symbols();
    bench.faults().set(FaultBench::symbol_function() +
                       " times 1 rv CKR_USER_NOT_LOGGED_IN\nC_Login rv " + refusal);
    const std::uint64_t logins = calls_of(token, "C_Login");
    auto answer = act.run();
    ASSERT_FALSE(answer);
    EXPECT_NE(answer.error().message().find(refusal), std::string::npos);
    EXPECT_NE(answer.error().hint.find(bench.settings().pin_file.string()), std::string::npos);
    bench.faults().lift();  // the token would take the PIN now: it is not offered all the same
    for (int i = 0; i < 20; ++i) {
      EXPECT_FALSE(act.run());
      EXPECT_FALSE(Token::open(bench.settings()));
      std::this_thread::sleep_for(milliseconds(1));
    }
    EXPECT_EQ(calls_of(token, "C_Login"), logins + 1);
    EXPECT_EQ(token.health().state, TokenState::kLatched);
    touch(bench.settings().pin_file);
    const auto again = bench.works_again(act);
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_EQ(token.health().state, TokenState::kOk);
  }
}

TEST(Recovery, TheLastTryOfAPinIsLeftToPeople) {
  const auto& settings = shared_tokens().issuing;
  const auto module = *Module::open(settings.module, settings.softhsm_conf);
  auto found = *find_token(*module, settings.uri);
  auto session = *Session::open(module, found.slot, Session::Access::kReadOnly);
  for (const CK_FLAGS flag : {CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_LOCKED}) {
    auto warned = found;
    warned.info.flags |= flag;
    const auto done = log_in_user(session, warned, settings.pin_file);
    ASSERT_FALSE(done);
    EXPECT_TRUE(refuses_pin(done.error().native)) << done.error().message();
  }
  EXPECT_TRUE(log_in_user(session, found, settings.pin_file));
}

// A call hangs: another thread sees it, others go on, and a recovery that would need the library
// for itself gives up instead of waiting for ever.
TEST(Recovery, ACallThatHangsIsSeenAndHoldsNobodyElse) {
  FaultBench bench([](TokenSettings& settings) { settings.call_limit = milliseconds(50); });
  Token& token = bench.token();
  bench.faults().set(
      fmt::format("C_GenerateRandom times 1 hang\n{} after {} times 4 rv CKR_DEVICE_ERROR",
                  FaultBench::symbol_function(), 2 * FaultBench::symbol_calls()));
  Answer of_hung = fail(ErrorCode::kInternal, "not yet");
  std::thread hung([&] { of_hung = bench.act("random").run(); });
  while (token.health().oldest_function != "C_GenerateRandom") std::this_thread::yield();
  while (token.health().oldest_call < milliseconds(2)) std::this_thread::yield();
  EXPECT_TRUE(bench.symbols().run());
  EXPECT_TRUE(bench.symbols().run());
  const auto answer = bench.symbols().run();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kHsm);
  EXPECT_NE(answer.error().what.find("hanging"), std::string::npos) << answer.error().message();
  EXPECT_EQ(token.health().reinitialisations, 0U);
  EXPECT_EQ(token.health().oldest_function, "C_GenerateRandom");
  bench.faults().lift();
  hung.join();
  EXPECT_TRUE(of_hung) << of_hung.error().message();
  EXPECT_TRUE(bench.works_again(bench.symbols()));
  EXPECT_EQ(token.health().oldest_call.count(), 0);
}

// Two tokens of one process: when one has the library initialised anew, the other's sessions and
// handles are void, and it notices before it uses them.
TEST(Recovery, TokensThatShareAModuleSurviveItsReinitialisation) {
  FaultBench bench;
  auto settings = shared_tokens().issuing;
  settings.module = fault_module();
  const auto other = *Token::open(settings);
  const Key key = find_shared(*other, {KeyPurpose::kAgency, KeyAlgorithm::kHmacSha256, 1});
  SecretBytes<16> before, after;
  ASSERT_TRUE(other->sign(key, as_bytes("message"), before.bytes()));
  bench.faults().set(FaultBench::symbol_function() + " times 2 rv CKR_DEVICE_ERROR");
  ASSERT_TRUE(bench.symbols().run());
  ASSERT_EQ(bench.token().health().reinitialisations, 1U);
  const auto done = other->sign(key, as_bytes("message"), after.bytes());
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(equal_in_constant_time(before.bytes(), after.bytes()));
  EXPECT_EQ(other->health().recoveries_succeeded, 1U);
}

// Work of many threads goes on while errors come at random: what comes out is right.
TEST(Recovery, ManyThreadsUnderErrorsAtRandomGetRightAnswers) {
  FaultBench bench;
  // Seldom enough that a recovery, in which every key is tried, comes through some time. One bit of
  // one C_Sign in the middle is not seen by anybody: see the next test.
  const std::string function = FaultBench::symbol_function();
  bench.faults().set(function + " chance 3 rv CKR_DEVICE_ERROR\n" + function +
                     "Init chance 2 rv CKR_SESSION_HANDLE_INVALID\n"
                     "C_Encrypt chance 3 wrong last\nC_SignInit chance 2 renumber\n"
                     "C_Sign chance 3 rv CKR_GENERAL_ERROR");
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0}, right{0};
  std::vector<std::string> names = {bench.symbols().name, "mac", "sign hmac"};
  if (abilities().blocks) names.emplace_back("decrypt");
  for (const auto& name : names)
    threads.emplace_back([&bench, &wrong, &right, name] {
      const Act& act = bench.act(name);
      // While a recovery is not due calls fail at once, so that all of them may.
      for (int call = 0; call < 25 || (right == 0 && call < 100'000); ++call) {
        const auto answer = act.run();
        if (answer) ++(*answer == act.right ? right : wrong);
        if (!answer && answer.error().code != ErrorCode::kHsm) ++wrong;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(right, 0);
  bench.faults().lift();
  for (const Act& act : bench.acts()) EXPECT_TRUE(bench.works_again(act)) << act.name;
}

// What the known blocks at both ends cannot see.
TEST(Recovery, AWrongBlockInTheMiddleIsFoundWhereEverythingIsEvaluatedTwice) {
  FaultBench bench([](TokenSettings& settings) { settings.evaluate_twice = true; });
  struct Case {
    std::string act;
    const char* fault;
  };
  std::vector<Case> cases = {{"mac", "C_Sign after 20 times 1 wrong first"}};
  if (abilities().blocks) {
    cases.push_back({"encrypt", "C_Encrypt times 1 wrong middle"});
    cases.push_back({"decrypt", "C_Decrypt times 1 wrong middle"});
  } else {
    cases.push_back({"mac cmac", "C_Sign after 20 times 1 wrong first"});
  }
  for (const Case& one : cases) {
    const std::uint64_t before = bench.token().health().wrong_answers;
    bench.faults().set(one.fault);
    const auto answer = bench.act(one.act).run();
    ASSERT_TRUE(answer) << answer.error().message();
    EXPECT_EQ(*answer, bench.act(one.act).right) << one.fault;
    EXPECT_GT(bench.token().health().wrong_answers, before) << one.fault;
  }
}

// The output of an earlier call has the right known block in front, and the right length.
TEST(Recovery, TheOutputOfAnEarlierCallDoesNotPassForThisOnes) {
  FaultBench bench;
  bench.faults().set(FaultBench::symbol_function() + " repeat");
  for (int i = 0; i < 3; ++i) {
    const auto answer = bench.symbols().run();
    if (answer) {
      EXPECT_EQ(i, 0);  // nothing to repeat yet
      continue;
    }
    EXPECT_EQ(answer.error().code, ErrorCode::kHsm);
  }
  EXPECT_GT(bench.token().health().wrong_answers, 0U);
  bench.faults().lift();
  EXPECT_TRUE(bench.works_again(bench.symbols()));
}

TEST(Recovery, StuckRandomNumbersAreRefused) {
  FaultBench bench;
  for (const char* fault : {"C_GenerateRandom zeros", "C_GenerateRandom repeat"}) {
    bench.faults().set(fault);
    std::vector<std::uint8_t> bytes(48), first(48);
    (void)bench.token().random(first);
    const auto done = bench.token().random(bytes);
    ASSERT_FALSE(done) << fault;
    EXPECT_EQ(done.error().code, ErrorCode::kHsm);
    bench.faults().lift();
    EXPECT_TRUE(bench.works_again(bench.act("random")));
  }
}

}  // namespace
}  // namespace fugo::hsm::testing
