// A token behind the fault module, and acts on it whose right answers are known.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "hsm/token.h"
#include "tests/hsm/fault_script.h"

namespace fugo::hsm::testing {

// Answer is what an act gave, as bytes, or why it failed.
using Answer = Result<std::vector<std::uint8_t>>;

// Act is something that is asked of a token.
struct Act {
  std::string name;
  std::function<Answer()> run;
  std::vector<std::uint8_t> right;
};

// FaultBench opens the standby token, which may do everything, through the fault module; the
// tokens were made through the real one, which is finalized before.
class FaultBench {
 public:
  // The pauses between recoveries are short, and all symbols evaluated once, unless told.
  explicit FaultBench(const std::function<void(TokenSettings&)>& change = {});

  [[nodiscard]] const FaultScript& faults() const { return faults_; }
  [[nodiscard]] Token& token() { return *token_; }
  [[nodiscard]] const TokenSettings& settings() const { return settings_; }
  [[nodiscard]] const std::vector<Act>& acts() const { return acts_; }
  [[nodiscard]] const Act& act(const std::string& name) const;
  // symbols is the act that makes symbols of an AES key, in so many calls of symbol_function().
  [[nodiscard]] const Act& symbols() const;
  [[nodiscard]] static std::string symbol_function();
  [[nodiscard]] static std::size_t symbol_calls();

  // works_again tries an act until it gives the right answer, as long as a recovery may be due;
  // the last error, or that the answer was wrong.
  [[nodiscard]] Status works_again(const Act& act);

 private:
  void add_symbol_acts();
  void add_secret_acts();
  void add_key_acts();
  void add(std::string name, std::function<Answer()> run);
  [[nodiscard]] Answer bulk(const Key& key, bool decrypt);
  [[nodiscard]] Answer macs(const Key& key);
  [[nodiscard]] Answer random();

  FaultScript faults_;
  TokenSettings settings_;
  std::shared_ptr<Token> token_;
  std::vector<Act> acts_;
  std::vector<std::uint8_t> last_random_, data_key_;
};

}  // namespace fugo::hsm::testing
