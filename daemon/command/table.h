// Tables of text for people.
#pragma once

#include <string>
#include <vector>

namespace fugo::daemon {

// Table aligns columns by their widest cell. Numbers are put to the right.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  // text is the header and the rows, a line each.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace fugo::daemon
