// One snapshot of an LMDB file: its trees and its free list, walked page by page.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "keystore/page_format.h"
#include "keystore/page_walker.h"

namespace fugo::keystore::pages {

// PageSource reads bytes of a file, and remembers the first error.
class PageSource {
 public:
  PageSource(int fd, std::uint64_t size) : fd_(fd), size_(size) {}
  [[nodiscard]] std::uint64_t size() const { return size_; }
  // read is false, and nothing was read, beyond the file's end or after an error.
  [[nodiscard]] bool read(std::uint64_t offset, MutableByteView into);
  [[nodiscard]] int error_number() const { return error_number_; }

 private:
  int fd_;
  std::uint64_t size_;
  int error_number_ = 0;
};

// SnapshotWalk checks what one meta page, whose own fields were checked, names.
class SnapshotWalk {
 public:
  SnapshotWalk(PageSource& source, const Meta& meta, std::string prefix, PageReport& report);
  // run walks everything, and adds what is wrong to the report's findings.
  void run();
  [[nodiscard]] std::uint64_t reached() const { return reached_; }
  [[nodiscard]] std::uint64_t free() const { return free_; }
  [[nodiscard]] std::uint64_t trees() const { return trees_; }
  [[nodiscard]] std::uint64_t entries() const { return entries_; }

 private:
  enum class Kind : std::uint8_t { kFreeList, kMain, kNamed };
  struct Tree {
    Kind kind = Kind::kNamed;
    TreeRecord record;
    TreeRecord found;  // what the walk counted
  };
  // Bounds of a subtree's keys: first <= key < last; views into the pages of the parents.
  struct Bounds {
    std::optional<ByteView> first, last;
  };

  void find(std::uint64_t page, std::string what);
  void walk_tree(std::uint64_t page_of_record, Kind kind, const TreeRecord& record);
  void visit(Tree& tree, std::uint64_t number, unsigned level, const Bounds& bounds);
  void visit_branch(Tree& tree, std::uint64_t number, unsigned level, const Bounds& bounds,
                    const std::vector<Node>& nodes);
  void visit_leaf(Tree& tree, std::uint64_t number, const Bounds& bounds,
                  const std::vector<Node>& nodes);
  bool keys_in_order(const Tree& tree, std::uint64_t number, const Bounds& bounds,
                     const std::vector<Node>& nodes, bool first_counts);
  bool walk_chain(Tree& tree, std::uint64_t number, const Node& node);
  void take_freed(std::uint64_t number, const Node& node);
  bool take_freed_pages(std::uint64_t number, ByteView numbers, std::uint64_t& previous);
  bool claim(std::uint64_t number, std::uint64_t count);
  void account();

  PageSource& source_;
  const Meta& meta_;
  std::string prefix_;
  PageReport& report_;
  std::uint64_t page_size_;
  std::vector<bool> in_use_, freed_;
  std::uint64_t reached_ = 0, free_ = 0, trees_ = 0, entries_ = 0;
  std::uint64_t newest_freed_ = 0;  // greatest transaction in the free list
  struct NamedTree {
    std::uint64_t page = 0;
    TreeRecord record;
  };
  std::vector<NamedTree> named_;
};

}  // namespace fugo::keystore::pages
