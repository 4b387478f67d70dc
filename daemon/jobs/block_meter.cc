#include "daemon/jobs/block_meter.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/key_making.h"

namespace fugo::daemon {
namespace {

constexpr unsigned kVersionBits = 16;
// A row is looked at in up to three passes: for rejects that only the ledger knows, to issue, and
// once more to make answers again after a stop.
constexpr std::uint64_t kPasses = 3;
// L and V of one generation.
constexpr std::uint64_t kBlocksOfLook = 2;
constexpr std::uint64_t kSlack = 4096;

}  // namespace

keystore::BlockCounts evaluated_blocks(const hsm::Token& token) {
  keystore::BlockCounts counts;
  for (const auto& use : token.evaluated())
    counts[(static_cast<keystore::KeyNumber>(use.key.purpose) << kVersionBits) + use.key.version] +=
        use.count;
  return counts;
}

BlockMeter::BlockMeter(const hsm::Token& token)
    : token_(token), at_start_(evaluated_blocks(token)) {}

keystore::KeyBlocks BlockMeter::blocks() const {
  keystore::KeyBlocks blocks = before_;
  keystore::add_growth(keystore::key_blocks(at_start_),
                       keystore::key_blocks(evaluated_blocks(token_)), blocks);
  return blocks;
}

nlohmann::json blocks_document(const keystore::KeyBlocks& blocks) {
  nlohmann::json document = nlohmann::json::object();
  for (const auto& [key, count] : keystore::block_counts(blocks))
    document[fmt::format("{}-v{}", purpose_name(static_cast<hsm::KeyPurpose>(key >> kVersionBits)),
                         key & ((1U << kVersionBits) - 1))] = count;
  return document;
}

std::uint64_t unexplained_blocks(const keystore::JobRow& job, std::size_t starts) {
  // A person who started from the oldest version is chained through all later ones.
  const std::uint64_t ways = starts * (starts + 1) / 2;
  const std::uint64_t codes = job.kind == keystore::JobKind::kChange ? 2 : 1;
  const std::uint64_t most =
      std::min(job.rows, job.row_quota) * codes * ways * kBlocksOfLook * kPasses + kSlack;
  std::uint64_t found = 0;
  for (const auto& [key, count] : keystore::block_counts(job.blocks))
    if (key >> kVersionBits == static_cast<std::uint64_t>(hsm::KeyPurpose::kLinkage))
      found += count;
  return found > most ? found - most : 0;
}

}  // namespace fugo::daemon
