// Every PKCS#11 function that a Token calls, made to fail in every way: for each act either the
// right answer or a clear error, never a wrong value, and afterwards the same Token works again.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>

#include "hsm/call_meter.h"
#include "tests/hsm/fault_bench.h"
#include "tests/hsm/token_fixture.h"

namespace fugo::hsm::testing {
namespace {

// What the ceremony and the set-up of tokens call, and no Token; fault_test.cc has those.
const std::set<std::string> kNotOfTokens = {"C_GetMechanismInfo", "C_InitToken",    "C_InitPIN",
                                            "C_Logout",           "C_CreateObject", "C_GenerateKey",
                                            "C_GenerateKeyPair",  "C_WrapKey"};

// Where there are no blocks, nothing calls these either.
const std::set<std::string> kOfBlocks = {"C_EncryptInit", "C_Encrypt", "C_DecryptInit",
                                         "C_Decrypt"};

// The errors of a session, a login, a handle or a device that is gone, and of one that is ill.
const std::vector<std::string> kErrors = {
    "CKR_SESSION_HANDLE_INVALID", "CKR_SESSION_CLOSED",
    "CKR_USER_NOT_LOGGED_IN",     "CKR_DEVICE_ERROR",
    "CKR_DEVICE_REMOVED",         "CKR_TOKEN_NOT_PRESENT",
    "CKR_OBJECT_HANDLE_INVALID",  "CKR_GENERAL_ERROR",
    "CKR_FUNCTION_FAILED",        "CKR_HOST_MEMORY",
    "CKR_DEVICE_MEMORY",          "CKR_CRYPTOKI_NOT_INITIALIZED",
    "CKR_BUFFER_TOO_SMALL",
};
const std::vector<std::string> kOtherFaults = {
    "hang 2", "short",  "short 16", "stale", "stale 1", "wrong first", "wrong last",
    "zeros",  "repeat", "none",     "two",   "foreign", "renumber",    "lost CKR_DEVICE_ERROR",
};

// Cell is one place of the table. `trigger` makes the act begin a recovery, in which the function
// is called.
struct Cell {
  const Act* act;
  std::string function;
  std::string fault;
  std::string trigger;
  [[nodiscard]] std::string text() const {
    return fmt::format("{}, {} {}{}", act->name, function, fault,
                       trigger.empty() ? "" : " in a recovery");
  }
};

class FaultTable : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { bench_ = new FaultBench; }
  static void TearDownTestSuite() {
    delete bench_;
    bench_ = nullptr;
  }

  // called is every function that an act calls of itself.
  static std::set<std::string> called(const Act& act, bool may_fail = false) {
    std::map<std::string, std::uint64_t> before;
    for (const auto& row : bench_->token().health().functions) before[row.function] = row.count;
    const auto answer = act.run();
    EXPECT_TRUE(answer || may_fail) << act.name << ": " << answer.error().message();
    std::set<std::string> functions;
    for (const auto& row : bench_->token().health().functions)
      if (row.count != before[row.function]) functions.insert(row.function);
    return functions;
  }

  // Once and for ever; where calls or recoveries take their time, the one or the other in turn.
  static std::vector<const char*> how_often() {
    if (abilities().fast_start && abilities().fast_signing) return {" times 1 ", " "};
    static int turn = 0;
    return {++turn % 2 == 0 ? " times 1 " : " "};
  }

  static void try_cell(const Cell& cell) {
    for (const char* times : how_often()) {
      bench_->faults().clear_log();
      bench_->faults().set(cell.trigger + cell.function + times + cell.fault);
      const auto answer = cell.act->run();
      const std::string log = bench_->faults().log();
      bench_->faults().lift();
      if (log.find(cell.function + " " + cell.fault) != std::string::npos)
        ++happened_[cell.function][cell.fault];
      ASSERT_EQ(log.find("cannot understand"), std::string::npos) << log;
      if (answer) {
        ASSERT_EQ(*answer, cell.act->right) << cell.text();
      } else {
        const Error& error = answer.error();
        // Opening may find a token twice, and ask for a better URI.
        ASSERT_TRUE(error.code == ErrorCode::kHsm || error.code == ErrorCode::kRefused ||
                    (error.code == ErrorCode::kUsage && cell.act->name == "open"))
            << cell.text() << ": " << error.message();
        ASSERT_FALSE(error.what.empty()) << cell.text();
      }
      const auto again = bench_->works_again(*cell.act);
      ASSERT_TRUE(again) << cell.text() << times << ": afterwards: " << again.error().message();
    }
  }

  static void try_all(const Act& act, const std::string& function, const std::string& trigger) {
    for (const auto& error : kErrors) {
      try_cell({&act, function, "rv " + error, trigger});
      if (HasFatalFailure()) return;
    }
    for (const auto& fault : kOtherFaults) {
      try_cell({&act, function, fault, trigger});
      if (HasFatalFailure()) return;
    }
  }

  static inline FaultBench* bench_ = nullptr;
  static inline std::map<std::string, std::map<std::string, int>> happened_;
};

TEST_F(FaultTable, EveryActMeetsEveryFaultOfTheFunctionsItCalls) {
  for (const Act& act : bench_->acts())
    for (const auto& function : called(act)) {
      try_all(act, function, "");
      if (HasFatalFailure()) return;
    }
}

// Two errors in a row: the second meets the look-up of keys, so that the library is initialised
// anew as well.
TEST_F(FaultTable, EveryFaultInTheMiddleOfARecovery) {
  const std::string trigger = FaultBench::symbol_function() + " times 2 rv CKR_DEVICE_ERROR\n";
  // Which thread meets the second error is not ours to say: one that had its second try already
  // gives it back, and then nothing is initialised. So until it has been.
  std::set<std::string> functions;
  const auto whole = [&] {
    return std::ranges::all_of(
        std::array{"C_Initialize", "C_Finalize", "C_CloseSession", "C_Login"},
        [&](const char* one) { return functions.contains(one); });
  };
  for (int attempt = 0; attempt < 20 && !whole(); ++attempt) {
    bench_->faults().set(trigger);
    functions = called(bench_->symbols(), /*may_fail=*/true);
    bench_->faults().lift();
    ASSERT_TRUE(bench_->works_again(bench_->symbols()));
  }
  ASSERT_TRUE(whole());
  for (const auto& function : functions) {
    try_all(bench_->symbols(), function, trigger);
    if (HasFatalFailure()) return;
  }
}

// After the two above: no function was left out, and no error.
TEST_F(FaultTable, TheTableIsWhole) {
  for (const char* function : kCkFunctionNames) {
    if (kNotOfTokens.contains(function)) continue;
    if (!abilities().blocks && kOfBlocks.contains(function)) {
      EXPECT_TRUE(happened_[function].empty()) << function;
      continue;
    }
    for (const auto& error : kErrors)
      EXPECT_GT(happened_[function]["rv " + error], 0) << function << " " << error;
    EXPECT_GT(happened_[function]["hang 2"], 0) << function;
  }
}

// The list of functions is that of the sources, so that a new one cannot be forgotten here.
TEST(FaultTableSources, EveryFunctionThatIsCalledIsListed) {
  std::set<std::string> used;
  const std::regex call("\\b(C_[A-Z][a-z][A-Za-z]*)\\b");
  for (const auto& file : std::filesystem::directory_iterator(FUGO_HSM_SOURCES)) {
    if (file.path().extension() != ".cc") continue;
    std::ifstream stream(file.path());
    std::string line;
    while (std::getline(stream, line)) {
      line = line.substr(0, line.find("//"));
      for (std::sregex_iterator at(line.begin(), line.end(), call), end; at != end; ++at)
        used.insert((*at)[1]);
    }
  }
  used.erase("C_GetFunctionList");  // before there is a list; see the loading of a module
  const std::set<std::string> listed(kCkFunctionNames.begin(), kCkFunctionNames.end());
  EXPECT_EQ(used, listed);
}

}  // namespace
}  // namespace fugo::hsm::testing
