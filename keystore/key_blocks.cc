#include "keystore/key_blocks.h"

namespace fugo::keystore {

BlockCounts block_counts(const KeyBlocks& blocks) {
  BlockCounts counts;
  for (std::size_t i = 0; i + 1 < blocks.size(); i += 2) counts[blocks[i]] += blocks[i + 1];
  return counts;
}

KeyBlocks key_blocks(const BlockCounts& counts) {
  KeyBlocks blocks;
  for (const auto& [key, count] : counts) {
    blocks.push_back(key);
    blocks.push_back(count);
  }
  return blocks;
}

void add_growth(const KeyBlocks& before, const KeyBlocks& after, KeyBlocks& total) {
  const BlockCounts old = block_counts(before);
  BlockCounts sum = block_counts(total);
  for (const auto& [key, count] : block_counts(after)) {
    const auto found = old.find(key);
    const std::uint64_t had = found == old.end() ? 0 : found->second;
    if (count > had) sum[key] += count - had;
  }
  total = key_blocks(sum);
}

}  // namespace fugo::keystore
