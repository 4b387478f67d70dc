// What the bytes of an LMDB file are for, by the tests' own reading of it.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "keystore/page_format.h"

namespace fugo::keystore::testing {

// PageClaims takes a sound file of LMDB's apart; the bytes must outlive it.
class PageClaims {
 public:
  explicit PageClaims(const std::vector<std::uint8_t>& file);

  // bits are those that the page walker says it checks, in both snapshots, ascending.
  [[nodiscard]] const std::vector<std::size_t>& bits() const { return bits_; }
  // bit_of is one of the walker's bits for each byte that has any, chosen by `random`.
  template <typename Random>
  [[nodiscard]] std::vector<std::size_t> bit_of_each_byte(Random& random) const {
    std::vector<std::size_t> chosen;
    for (std::size_t first = 0, last = 0; first < bits_.size(); first = last) {
      while (last < bits_.size() && bits_[last] / 8 == bits_[first] / 8) ++last;
      chosen.push_back(bits_[first + random() % (last - first)]);
    }
    return chosen;
  }

  // Value is where a row's value lies.
  struct Value {
    std::size_t offset = 0, size = 0;
  };
  // keys are the places of every byte of a row's key, values of every row, in the newest snapshot.
  [[nodiscard]] const std::vector<std::size_t>& keys() const { return keys_; }
  [[nodiscard]] const std::vector<Value>& values() const { return values_; }
  // others are bytes that the walker looks at, but which may change unnoticed: what separates pages
  // from one another, keys of the snapshot before, lengths of values. Ascending.
  [[nodiscard]] const std::set<std::size_t>& others() const { return others_; }

 private:
  void add(std::size_t offset, std::size_t size, unsigned first_bit = 0);
  void other(std::size_t offset, std::size_t size);
  void tree(const pages::TreeRecord& record, bool free_list);
  void page(std::size_t number, bool free_list);
  void branch_node(std::size_t at, bool free_list);
  void leaf_node(std::size_t at, bool free_list);

  const std::vector<std::uint8_t>& file_;
  std::size_t page_size_ = 0;
  bool newest_ = false;  // of the snapshot that is being read
  std::vector<std::size_t> bits_, keys_;
  std::vector<Value> values_;
  std::set<std::size_t> others_;
};

}  // namespace fugo::keystore::testing
