#include "tests/keystore/page_claims.h"

#include <algorithm>

namespace fugo::keystore::testing {

PageClaims::PageClaims(const std::vector<std::uint8_t>& file) : file_(file) {
  const auto first = pages::decode_meta(file.data());
  page_size_ = first.page_size();
  const auto second = pages::decode_meta(file.data() + page_size_);
  for (const std::size_t page : {std::size_t{0}, page_size_}) {
    add(page, 8), add(page + 10, 2);          // number, kind
    add(page + 16, 16), add(page + 40, 112);  // all but the size of the map
    other(page + 32, 8);
  }
  for (const auto* meta : {&first, &second}) {
    newest_ = meta->transaction == std::max(first.transaction, second.transaction);
    tree(meta->free, true);
    tree(meta->main, false);
  }
  std::sort(bits_.begin(), bits_.end());
  bits_.erase(std::unique(bits_.begin(), bits_.end()), bits_.end());
  for (const std::size_t bit : bits_) others_.erase(bit / 8);
  for (const std::size_t at : keys_) others_.erase(at);
}

void PageClaims::add(std::size_t offset, std::size_t size, unsigned first_bit) {
  for (std::size_t bit = 8 * offset + first_bit; bit < 8 * (offset + size); ++bit)
    bits_.push_back(bit);
}

void PageClaims::other(std::size_t offset, std::size_t size) {
  for (std::size_t at = offset; at < offset + size; ++at) others_.insert(at);
}

void PageClaims::tree(const pages::TreeRecord& record, bool free_list) {
  if (record.root != pages::kNoPage) page(record.root, free_list);
}

void PageClaims::page(std::size_t number, bool free_list) {
  const std::size_t start = number * page_size_;
  const auto header = pages::decode_header(file_.data() + start);
  add(start, 8), add(start + 10, 6);
  for (std::size_t at = pages::kHeaderSize; at < header.lower; at += 2) {
    add(start + at, 2);
    const auto offset = pages::load_le<std::uint16_t>(file_.data() + start + at);
    if (header.flags == pages::kBranch)
      branch_node(start + offset, free_list);
    else
      leaf_node(start + offset, free_list);
  }
}

void PageClaims::branch_node(std::size_t at, bool free_list) {
  add(at, 6), add(at + 6, 2, 1);
  other(at + pages::kNodeHeaderSize, pages::load_le<std::uint16_t>(file_.data() + at + 6));
  const auto child = pages::load_le<std::uint64_t>(file_.data() + at) & 0xFFFFFFFFFFFFU;
  page(child, free_list);
}

void PageClaims::leaf_node(std::size_t at, bool free_list) {
  const auto size = pages::load_le<std::uint32_t>(file_.data() + at);
  const auto flags = pages::load_le<std::uint16_t>(file_.data() + at + 4);
  const auto key_size = pages::load_le<std::uint16_t>(file_.data() + at + 6);
  const std::size_t key = at + pages::kNodeHeaderSize, value = key + key_size;
  add(at + 4, 2), add(at + 6, 2, 1);
  std::size_t content = value;
  if (flags == pages::kBigData) {
    add(value, 8);
    const std::size_t chain = pages::load_le<std::uint64_t>(file_.data() + value) * page_size_;
    add(chain, 8), add(chain + 10, 6);
    content = chain + pages::kHeaderSize;
    if (free_list) add(at, 4);
  } else {
    add(at, 4, 1);
  }
  if (flags == pages::kSubData) {
    add(value, pages::kTreeRecordSize);
    tree(pages::decode_tree(file_.data() + value), false);
  } else if (free_list) {
    add(content, size);
  } else if (newest_) {
    values_.push_back({content, size});
    for (std::size_t i = 0; i < key_size; ++i) keys_.push_back(key + i);
  }
  // Lengths of values and the order of keys are checked, which is a part of them.
  other(at, 4);
  other(key, key_size);
}

}  // namespace fugo::keystore::testing
