#include "keystore/page_snapshot.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace fugo::keystore::pages {
namespace {

// compare orders keys as LMDB does: as bytes, a prefix first; in the free list as integers.
int compare(ByteView a, ByteView b, bool integers) {
  if (integers) {
    const auto x = load_le<std::uint64_t>(a.data());
    const auto y = load_le<std::uint64_t>(b.data());
    return x < y ? -1 : x > y ? 1 : 0;
  }
  const int order = std::memcmp(a.data(), b.data(), std::min(a.size(), b.size()));
  if (order != 0) return order;
  return a.size() < b.size() ? -1 : a.size() > b.size() ? 1 : 0;
}

// decode_node is nothing where the node does not lie inside the page.
std::optional<Node> decode_node(ByteView page, std::uint16_t offset, bool branch) {
  if (offset % 2 != 0 || offset + kNodeHeaderSize > page.size()) return std::nullopt;
  const std::uint8_t* at = page.data() + offset;
  const std::uint64_t low = load_le<std::uint16_t>(at), high = load_le<std::uint16_t>(at + 2);
  const auto flags = load_le<std::uint16_t>(at + 4);
  const std::size_t key_size = load_le<std::uint16_t>(at + 6);
  Node node;
  node.offset = offset;
  std::size_t value_room = 0;
  if (branch) {
    node.child = low | high << 16U | static_cast<std::uint64_t>(flags) << 32U;
  } else {
    node.flags = flags;
    node.value_size = static_cast<std::uint32_t>(low | high << 16U);
    value_room = flags == kBigData ? sizeof(std::uint64_t) : node.value_size;
  }
  const std::size_t size = (kNodeHeaderSize + key_size + value_room + 1) & ~std::size_t{1};
  if (offset + size > page.size()) return std::nullopt;
  node.size = static_cast<std::uint32_t>(size);
  node.key = page.subspan(offset + kNodeHeaderSize, key_size);
  node.value = page.subspan(offset + kNodeHeaderSize + key_size, value_room);
  if (!branch && flags == kBigData) node.child = load_le<std::uint64_t>(node.value.data());
  return node;
}

// decode_nodes reads a tree page's nodes in order of key; nothing when they do not fill the room
// from `upper` to the page's end exactly.
std::optional<std::vector<Node>> decode_nodes(ByteView page, const Header& header) {
  if (header.lower < kHeaderSize || header.lower % 2 != 0 || header.upper < header.lower ||
      header.upper > page.size())
    return std::nullopt;
  const std::size_t count = (header.lower - kHeaderSize) / 2;
  std::vector<Node> nodes;
  nodes.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto offset = load_le<std::uint16_t>(page.data() + kHeaderSize + 2 * i);
    auto node = decode_node(page, offset, header.flags == kBranch);
    if (!node) return std::nullopt;
    nodes.push_back(*node);
  }
  std::vector<std::pair<std::uint32_t, std::uint32_t>> extents;
  extents.reserve(count);
  for (const Node& node : nodes) extents.emplace_back(node.offset, node.size);
  std::sort(extents.begin(), extents.end());
  std::uint32_t end = header.upper;
  for (const auto& [offset, size] : extents) {
    if (offset != end) return std::nullopt;
    end += size;
  }
  if (end != page.size()) return std::nullopt;
  return nodes;
}

}  // namespace

bool PageSource::read(std::uint64_t offset, MutableByteView into) {
  if (error_number_ != 0 || offset > size_ || into.size() > size_ - offset) return false;
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t got =
        ::pread(fd_, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      error_number_ = got < 0 ? errno : EIO;  // the file became shorter while it was read
      return false;
    }
    done += static_cast<std::size_t>(got);
  }
  return true;
}

SnapshotWalk::SnapshotWalk(PageSource& source, const Meta& meta, std::string prefix,
                           PageReport& report)
    : source_(source),
      meta_(meta),
      prefix_(std::move(prefix)),
      report_(report),
      page_size_(meta.page_size()),
      in_use_(meta.last_page + 1),
      freed_(meta.last_page + 1) {}

void SnapshotWalk::find(std::uint64_t page, std::string what) {
  ++report_.finding_count;
  if (report_.findings.size() < PageReport::kMaxFindings)
    report_.findings.push_back({page, prefix_ + std::move(what)});
}

void SnapshotWalk::run() {
  const std::uint64_t page_of_meta = meta_.transaction % 2;
  walk_tree(page_of_meta, Kind::kFreeList, meta_.free);
  walk_tree(page_of_meta, Kind::kMain, meta_.main);
  for (const NamedTree& tree : named_) walk_tree(tree.page, Kind::kNamed, tree.record);
  account();
}

void SnapshotWalk::walk_tree(std::uint64_t page_of_record, Kind kind, const TreeRecord& record) {
  ++trees_;
  Tree tree{kind, record, {}};
  const bool flags_ok = kind == Kind::kFreeList
                            ? (record.flags & ~unsigned{kNoSubDir}) == kIntegerKey
                            : record.flags == 0 && record.pad == 0;
  if (!flags_ok) return find(page_of_record, "a tree's record has flags that are not used here");
  if (record.root != kNoPage) {
    if (record.depth == 0 || record.depth > kMaxDepth)
      return find(page_of_record, fmt::format("a tree's depth is {}", record.depth));
    tree.found.depth = record.depth;
    visit(tree, record.root, 1, {});
  }
  const TreeRecord& found = tree.found;
  if (found.depth != record.depth || found.branch_pages != record.branch_pages ||
      found.leaf_pages != record.leaf_pages || found.overflow_pages != record.overflow_pages ||
      found.entries != record.entries)
    find(page_of_record, "a tree's record does not count the pages and entries that it has");
  if (kind != Kind::kFreeList) entries_ += found.entries;
}

bool SnapshotWalk::claim(std::uint64_t number, std::uint64_t count) {
  if (number < kFirstTreePage || number > meta_.last_page || count > meta_.last_page - number + 1) {
    find(number, "a page is named that lies outside the file's pages");
    return false;
  }
  if (number + count > source_.size() / page_size_) {
    find(number, "a page that is in use lies beyond the end of the file");
    return false;
  }
  for (std::uint64_t i = number; i < number + count; ++i) {
    if (in_use_[i]) {
      find(i, "a page is named twice");
      return false;
    }
    in_use_[i] = true;
  }
  reached_ += count;
  return true;
}

void SnapshotWalk::visit(Tree& tree, std::uint64_t number, unsigned level, const Bounds& bounds) {
  if (!claim(number, 1)) return;
  std::vector<std::uint8_t> page(page_size_);
  if (!source_.read(number * page_size_, page)) return find(number, "a page cannot be read");
  const Header header = decode_header(page.data());
  if (header.number != number) return find(number, "a page carries another page's number");
  const bool at_leaves = level == tree.record.depth;
  if (header.flags != (at_leaves ? kLeaf : kBranch))
    return find(number, "a page is not of the kind that its depth asks for");
  const auto nodes = decode_nodes(page, header);
  if (!nodes) return find(number, "a page's nodes do not fill it exactly");
  // LMDB keeps two children in a branch; the free list's may pass through one in a commit.
  const std::size_t least = at_leaves || tree.kind == Kind::kFreeList ? 1 : 2;
  if (nodes->size() < least) return find(number, "a page has too few nodes");
  if (at_leaves)
    visit_leaf(tree, number, bounds, *nodes);
  else
    visit_branch(tree, number, level, bounds, *nodes);
}

bool SnapshotWalk::keys_in_order(const Tree& tree, std::uint64_t number, const Bounds& bounds,
                                 const std::vector<Node>& nodes, bool first_counts) {
  const bool integers = tree.kind == Kind::kFreeList;
  std::optional<ByteView> previous = bounds.first;
  bool equal_allowed = true;  // a page's first key may equal the parent's
  for (std::size_t i = first_counts ? 0 : 1; i < nodes.size(); ++i) {
    const ByteView key = nodes[i].key;
    const bool size_ok =
        integers ? key.size() == sizeof(std::uint64_t) : !key.empty() && key.size() <= kMaxKeySize;
    if (!size_ok) {
      find(number, "a key's length is not allowed");
      return false;
    }
    const int order = previous ? compare(*previous, key, integers) : -1;
    if (order > 0 || (order == 0 && !equal_allowed) ||
        (bounds.last && compare(key, *bounds.last, integers) >= 0)) {
      find(number, "keys are out of order");
      return false;
    }
    previous = key;
    equal_allowed = false;
  }
  return true;
}

void SnapshotWalk::visit_branch(Tree& tree, std::uint64_t number, unsigned level,
                                const Bounds& bounds, const std::vector<Node>& nodes) {
  ++tree.found.branch_pages;
  if (!keys_in_order(tree, number, bounds, nodes, false)) return;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    Bounds inner = bounds;
    if (i > 0) inner.first = nodes[i].key;
    if (i + 1 < nodes.size()) inner.last = nodes[i + 1].key;
    visit(tree, nodes[i].child, level + 1, inner);
  }
}

void SnapshotWalk::visit_leaf(Tree& tree, std::uint64_t number, const Bounds& bounds,
                              const std::vector<Node>& nodes) {
  ++tree.found.leaf_pages;
  tree.found.entries += nodes.size();
  if (!keys_in_order(tree, number, bounds, nodes, true)) return;
  for (const Node& node : nodes) {
    const bool named = node.flags == kSubData && tree.kind == Kind::kMain;
    if (node.flags != 0 && node.flags != kBigData && !named) {
      find(number, "a node has flags that are not used here");
      continue;
    }
    if (named) {
      if (node.value_size == kTreeRecordSize)
        named_.push_back({number, decode_tree(node.value.data())});
      else
        find(number, "a named database's record is not of its size");
    }
    if (node.flags == kBigData && !walk_chain(tree, number, node)) continue;
    if (tree.kind == Kind::kFreeList) take_freed(number, node);
  }
}

bool SnapshotWalk::walk_chain(Tree& tree, std::uint64_t number, const Node& node) {
  std::array<std::uint8_t, kHeaderSize> bytes{};
  if (node.child < kFirstTreePage || node.child > meta_.last_page ||
      !source_.read(node.child * page_size_, bytes)) {
    find(number, "a value's overflow page lies outside the file");
    return false;
  }
  const Header header = decode_header(bytes.data());
  if (header.number != node.child || header.flags != kOverflow ||
      header.chain < chain_length(node.value_size, page_size_)) {
    find(node.child, "an overflow page does not fit the value that names it");
    return false;
  }
  tree.found.overflow_pages += header.chain;
  return claim(node.child, header.chain);
}

// take_freed reads one record of the free list: a count, then page numbers, descending.
void SnapshotWalk::take_freed(std::uint64_t number, const Node& node) {
  const auto transaction = load_le<std::uint64_t>(node.key.data());
  if (transaction == 0 || transaction > meta_.transaction)
    return find(number, "the free list names a transaction that has not been");
  newest_freed_ = std::max(newest_freed_, transaction);
  const std::uint64_t start = node.flags == kBigData ? node.child * page_size_ + kHeaderSize
                                                     : number * page_size_ + node.offset +
                                                           kNodeHeaderSize + node.key.size();
  std::array<std::uint8_t, 8> count_bytes{};
  if (node.value_size < sizeof(std::uint64_t) || !source_.read(start, count_bytes))
    return find(number, "a record of the free list has no count");
  const auto count = load_le<std::uint64_t>(count_bytes.data());
  if (node.value_size % 8 != 0 || count != node.value_size / 8 - 1)
    return find(number, "a record of the free list is not of the length that it says");
  std::array<std::uint8_t, 4096> piece{};
  std::uint64_t previous = meta_.last_page + 1;
  for (std::uint64_t done = 0; done < count * 8;) {
    const auto part =
        static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), count * 8 - done));
    const MutableByteView bytes(piece.data(), part);
    if (!source_.read(start + 8 + done, bytes)) return find(number, "the free list cannot be read");
    if (!take_freed_pages(number, bytes, previous)) return;
    done += part;
  }
}

bool SnapshotWalk::take_freed_pages(std::uint64_t number, ByteView numbers,
                                    std::uint64_t& previous) {
  for (std::size_t at = 0; at < numbers.size(); at += 8) {
    const auto page = load_le<std::uint64_t>(numbers.data() + at);
    if (page < kFirstTreePage || page >= previous) {
      find(number, "page numbers in the free list are out of range or order");
      return false;
    }
    if (freed_[page]) {
      find(page, "a page is in the free list twice");
      return false;
    }
    freed_[page] = true;
    previous = page;
    ++free_;
  }
  return true;
}

void SnapshotWalk::account() {
  if (report_.finding_count != 0) return;  // pages behind a damaged one would all be listed
  for (std::uint64_t page = kFirstTreePage; page <= meta_.last_page; ++page) {
    if (in_use_[page] && freed_[page]) find(page, "a page that is in use is in the free list");
    if (!in_use_[page] && !freed_[page]) find(page, "a page is neither in use nor free");
  }
  // A commit frees at least the root that it replaced. Where it did not, the transaction's number
  // was changed, and this is not the newest snapshot.
  if (meta_.transaction > 1 && meta_.main.root != kNoPage && newest_freed_ != meta_.transaction)
    find(meta_.transaction % 2, "the free list does not know of the newest transaction");
}

}  // namespace fugo::keystore::pages
