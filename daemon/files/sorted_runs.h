// SortedRuns: sorting more values than fit into memory, through an unlinked temporary file.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <queue>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/file.h"
#include "base/result.h"

namespace fugo::daemon {

// SpillFile is a temporary file without a name: it is gone when it is closed, or the process dies.
class SpillFile {
 public:
  SpillFile() = default;
  // create makes one in `directory` (O_TMPFILE; where that is unknown, a file that is unlinked at
  // once), readable by this user only.
  [[nodiscard]] static Result<SpillFile> create(const std::filesystem::path& directory);

  // append writes at the end and returns where the bytes begin.
  [[nodiscard]] Result<std::uint64_t> append(ByteView bytes);

  // map shows everything that was appended so far; a later map replaces an earlier one.
  [[nodiscard]] Result<ByteView> map();

  [[nodiscard]] std::uint64_t size() const { return size_; }

 private:
  struct Mapping {
    const std::uint8_t* data = nullptr;
    std::size_t size = 0;
    Mapping() = default;
    Mapping(Mapping&& other) noexcept
        : data(std::exchange(other.data, nullptr)), size(std::exchange(other.size, 0)) {}
    Mapping& operator=(Mapping&& other) noexcept {
      std::swap(data, other.data);
      std::swap(size, other.size);
      return *this;
    }
    ~Mapping();
  };
  UniqueFd fd_;
  std::filesystem::path directory_;  // for errors
  std::uint64_t size_ = 0;
  Mapping mapping_;
};

// SortedRuns takes values of a trivial type in any order and gives them back sorted by operator<,
// using about `memory_in_bytes`; equal values keep no order. Movable; one thread at a time.
template <typename T>
class SortedRuns {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  SortedRuns() = default;
  // The temporary file is made in `directory` when the memory is full for the first time.
  SortedRuns(std::filesystem::path directory, std::size_t memory_in_bytes)
      : directory_(std::move(directory)),
        capacity_(std::max<std::size_t>(memory_in_bytes / sizeof(T), 2)) {}

  [[nodiscard]] Status add(const T& value) {
    if (values_.size() == capacity_) FUGO_TRY(spill());
    values_.push_back(value);
    sorted_ = false;
    return {};
  }

  // for_each visits all values in order; it can be called again, also after more were added.
  [[nodiscard]] Status for_each(const std::function<Status(const T&)>& visit) {
    sort();
    std::vector<std::span<const T>> heads;
    if (!runs_.empty()) {
      FUGO_ASSIGN(const ByteView bytes, file_.map());
      for (const auto& [first, count] : runs_)
        heads.emplace_back(reinterpret_cast<const T*>(bytes.data() + first), count);
    }
    if (!values_.empty()) heads.emplace_back(values_);
    return merge(std::move(heads), visit);
  }

  [[nodiscard]] bool spilled() const { return !runs_.empty(); }

 private:
  void sort() {
    if (!sorted_ && !std::is_sorted(values_.begin(), values_.end()))
      std::sort(values_.begin(), values_.end());
    sorted_ = true;
  }

  [[nodiscard]] Status spill() {
    if (runs_.empty()) {
      FUGO_ASSIGN(file_, SpillFile::create(directory_));
    }
    sort();
    FUGO_ASSIGN(const std::uint64_t first,
                file_.append({reinterpret_cast<const std::uint8_t*>(values_.data()),
                              values_.size() * sizeof(T)}));
    runs_.emplace_back(first, values_.size());
    values_.clear();
    return {};
  }

  [[nodiscard]] static Status merge(std::vector<std::span<const T>> heads,
                                    const std::function<Status(const T&)>& visit) {
    const auto later = [](const std::span<const T>& a, const std::span<const T>& b) {
      return b.front() < a.front();
    };
    std::make_heap(heads.begin(), heads.end(), later);
    while (!heads.empty()) {
      std::pop_heap(heads.begin(), heads.end(), later);
      auto& run = heads.back();
      // The rest of the last run needs no heap; of several, one value at a time.
      do {
        FUGO_TRY(visit(run.front()));
        run = run.subspan(1);
      } while (heads.size() == 1 && !run.empty());
      if (run.empty())
        heads.pop_back();
      else
        std::push_heap(heads.begin(), heads.end(), later);
    }
    return {};
  }

  std::filesystem::path directory_;
  std::size_t capacity_ = 2;
  std::vector<T> values_;
  bool sorted_ = true;
  SpillFile file_;
  std::vector<std::pair<std::uint64_t, std::size_t>> runs_;  // offset in the file, values
};

}  // namespace fugo::daemon
