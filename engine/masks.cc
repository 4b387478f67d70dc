#include "engine/masks.h"

#include <algorithm>

#include "base/secret.h"

namespace fugo::engine {

Block label_block(std::string_view label) {
  Block block;
  std::copy_n(label.begin(), std::min(label.size(), block.bytes.size()), block.bytes.begin());
  return block;
}

Status cmac_masks(hsm::Token& token, const hsm::Key& key, std::span<Block> labels) {
  if (!key.blocks) return {};
  // Item 0 is 0^128, whose encryption gives K1; the labels follow it.
  FUGO_ASSIGN(auto blocks, SecretArray<Block>::create(labels.size() + 1));
  std::copy(labels.begin(), labels.end(), blocks.data() + 1);
  const auto fill = [&blocks](std::size_t first, std::span<Block> to) {
    std::copy_n(blocks.data() + first, to.size(), to.data());
  };
  const auto drain = [&blocks](std::size_t first, std::span<const Block> from) {
    std::copy(from.begin(), from.end(), blocks.data() + first);
  };
  FUGO_TRY(token.encrypt(key, blocks.size(), fill, drain));
  blocks[0] = doubled(blocks[0]);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = blocks[i + 1] ^ blocks[0];
  return {};
}

}  // namespace fugo::engine
