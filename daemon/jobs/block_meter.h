// Metering: how many blocks each symbol key evaluated for a job.
#pragma once

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "hsm/token.h"
#include "keystore/key_blocks.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

// BlockMeter adds what a token evaluated since the meter was made to what a job's row says already.
// One job is worked on at a time, so all of it is the job's. What a process evaluated after its
// last commit, and died, is not in any row: the metrics of that process had it.
class BlockMeter {
 public:
  explicit BlockMeter(const hsm::Token& token);
  // begin names what earlier processes committed for the job.
  void begin(const keystore::KeyBlocks& before) { before_ = before; }
  // again notes that so many rows have to be derived anew: after a stop, or when a held request
  // goes on. Kept beside the blocks, as key 0.
  void again(std::uint64_t rows);
  // blocks is the job's count as it is now.
  [[nodiscard]] keystore::KeyBlocks blocks() const;

 private:
  const hsm::Token& token_;
  keystore::BlockCounts at_start_;
  keystore::KeyBlocks before_;
};

// blocks_document gives counts by key: {"linkage-v1": 4000, ...}, for summaries and the journal.
[[nodiscard]] nlohmann::json blocks_document(const keystore::KeyBlocks& blocks);

// unexplained_blocks is by how much a job's linkage keys evaluated more than its rows can account
// for: what honest work never has. `ways` is how many times L and V are made to look a code up: see
// ways_of.
[[nodiscard]] std::uint64_t unexplained_blocks(const keystore::JobRow& job, std::size_t ways);

// ways_of counts, over all generations that people start from, that one and those that chain it.
[[nodiscard]] Result<std::size_t> ways_of(const keystore::Ledger& ledger);

// note_blocks puts a job's blocks, and what of them is unexplained, into the details of the entry
// that ends it, and into the state's sum.
void note_blocks(const keystore::JobRow& job, std::size_t ways, keystore::LedgerState& state,
                 nlohmann::json& details);

}  // namespace fugo::daemon
