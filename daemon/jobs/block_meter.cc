#include "daemon/jobs/block_meter.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/key_making.h"
#include "engine/block_count.h"
#include "engine/starts.h"

namespace fugo::daemon {
namespace {

constexpr unsigned kVersionBits = 16;
// A row is looked at in up to three passes: for rejects that only the ledger knows, before it is
// held and when it was approved, and to issue. What a stop makes necessary is counted beside.
constexpr std::uint64_t kPasses = 3;
constexpr std::uint64_t kPassesAgain = 2;
constexpr keystore::KeyNumber kRowsAgain = 0;  // no key has this number
// L and V of one generation.
constexpr std::uint64_t kBlocksOfLook = 2;
constexpr std::uint64_t kSlack = 4096;

}  // namespace

BlockMeter::BlockMeter(const hsm::Token& token)
    : token_(token), at_start_(engine::evaluated_blocks(token)) {}

keystore::KeyBlocks BlockMeter::blocks() const {
  keystore::KeyBlocks blocks = before_;
  keystore::add_growth(keystore::key_blocks(at_start_),
                       keystore::key_blocks(engine::evaluated_blocks(token_)), blocks);
  return blocks;
}

nlohmann::json blocks_document(const keystore::KeyBlocks& blocks) {
  nlohmann::json document = nlohmann::json::object();
  for (const auto& [key, count] : keystore::block_counts(blocks))
    if (key != kRowsAgain)
      document[fmt::format("{}-v{}",
                           purpose_name(static_cast<hsm::KeyPurpose>(key >> kVersionBits)),
                           key & ((1U << kVersionBits) - 1))] = count;
  return document;
}

void BlockMeter::again(std::uint64_t rows) {
  if (rows == 0) return;
  auto counts = keystore::block_counts(before_);
  counts[kRowsAgain] += rows;
  before_ = keystore::key_blocks(counts);
}

std::uint64_t unexplained_blocks(const keystore::JobRow& job, std::size_t ways) {
  const auto counts = keystore::block_counts(job.blocks);
  const auto again = counts.find(kRowsAgain);
  const std::uint64_t rows = std::min(job.rows, job.row_quota) * kPasses +
                             (again == counts.end() ? 0 : again->second * kPassesAgain);
  const std::uint64_t codes = job.kind == keystore::JobKind::kChange ? 2 : 1;
  const std::uint64_t most = rows * codes * ways * kBlocksOfLook + kSlack;
  std::uint64_t found = 0;
  for (const auto& [key, count] : counts)
    if (key >> kVersionBits == static_cast<std::uint64_t>(hsm::KeyPurpose::kLinkage))
      found += count;
  return found > most ? found - most : 0;
}

Result<std::size_t> ways_of(const keystore::Ledger& ledger) {
  FUGO_ASSIGN(const auto generations, ledger.generations());
  FUGO_ASSIGN(const auto starts, engine::starts_of(generations));
  std::size_t ways = 0;
  for (const auto& start : starts) ways += 1 + start.path.size();
  return ways;
}

void note_blocks(const keystore::JobRow& job, std::size_t ways, keystore::LedgerState& state,
                 nlohmann::json& details) {
  details["blocks"] = blocks_document(job.blocks);
  const auto counts = keystore::block_counts(job.blocks);
  if (const auto again = counts.find(kRowsAgain); again != counts.end())
    details["rows_again"] = again->second;
  const auto blocks = unexplained_blocks(job, ways);
  if (blocks == 0) return;
  details["unexplained_blocks"] = blocks;
  state.unexplained_blocks += blocks;
}

}  // namespace fugo::daemon
