// The Merkle tree hash of RFC 6962 section 2.1, over leaves that come one after another.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace fugo::daemon {

using TreeHash = std::array<std::uint8_t, 32>;

// MerkleTree keeps the hashes of the full subtrees only: memory grows with the logarithm.
class MerkleTree {
 public:
  [[nodiscard]] Status add(ByteView leaf);
  // root is the tree's hash as it is now; SHA-256 of nothing for an empty one.
  [[nodiscard]] Result<TreeHash> root() const;
  [[nodiscard]] std::uint64_t size() const { return size_; }

 private:
  std::vector<TreeHash> full_;  // one for each bit of size_ that is set, the largest first
  std::uint64_t size_ = 0;
};

}  // namespace fugo::daemon
