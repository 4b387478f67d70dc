// Mistakes of one file, gathered so that a single message names them all.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace fugo::daemon {

// Mistakes gathers texts with the lines (from 1; 0: the file as a whole) that they belong to.
class Mistakes {
 public:
  void add(std::uint64_t line, std::string what) { list_.emplace_back(line, std::move(what)); }
  [[nodiscard]] bool empty() const { return list_.empty(); }

  // text is "3 mistakes in SUBJECT:" and a line for each, in order of lines; the first hundred.
  [[nodiscard]] std::string text(const std::string& subject) const;

 private:
  std::vector<std::pair<std::uint64_t, std::string>> list_;
};

}  // namespace fugo::daemon
