#include "daemon/journal/merkle.h"

#include "keystore/seal.h"

namespace fugo::daemon {
namespace {

Result<TreeHash> node(const TreeHash& left, const TreeHash& right) {
  constexpr std::array<std::uint8_t, 1> kNode = {1};
  const std::array<ByteView, 3> parts{kNode, left, right};
  return keystore::sha256(parts);
}

}  // namespace

Status MerkleTree::add(ByteView leaf) {
  constexpr std::array<std::uint8_t, 1> kLeaf = {0};
  const std::array<ByteView, 2> parts{kLeaf, leaf};
  FUGO_ASSIGN(TreeHash hash, keystore::sha256(parts));
  for (std::uint64_t bits = size_; (bits & 1U) != 0; bits >>= 1U) {
    FUGO_ASSIGN(hash, node(full_.back(), hash));
    full_.pop_back();
  }
  full_.push_back(hash);
  ++size_;
  return {};
}

Result<TreeHash> MerkleTree::root() const {
  if (full_.empty()) return keystore::sha256({});
  TreeHash hash = full_.back();
  for (auto left = full_.rbegin() + 1; left != full_.rend(); ++left) {
    FUGO_ASSIGN(hash, node(*left, hash));
  }
  return hash;
}

}  // namespace fugo::daemon
