// Arithmetic of KeyBlocks: how many blocks each symbol key evaluated.
#pragma once

#include <map>

#include "keystore/types.h"

namespace fugo::keystore {

// KeyNumber is 65536 x purpose + version.
using KeyNumber = std::uint64_t;
using BlockCounts = std::map<KeyNumber, std::uint64_t>;

// block_counts and key_blocks turn one form into the other; half a pair at the end is left out.
[[nodiscard]] BlockCounts block_counts(const KeyBlocks& blocks);
[[nodiscard]] KeyBlocks key_blocks(const BlockCounts& counts);

// add_growth adds to `total` by how much `after` is more than `before`, key by key.
void add_growth(const KeyBlocks& before, const KeyBlocks& after, KeyBlocks& total);

}  // namespace fugo::keystore
