// Collecting answers, a segment at a time.
#include <algorithm>
#include <cstring>

#include "daemon/files/answers.h"

namespace fugo::daemon {
namespace {

// SortKey is a record's processing number, its first 16 characters as two big-endian numbers, so
// that comparing numbers mostly settles the order of the texts.
struct SortKey {
  std::uint64_t high = 0, low = 0;
  const std::uint8_t* record = nullptr;
};

std::uint64_t load_padded(const std::uint8_t* text, std::size_t width) {
  std::uint8_t bytes[8] = {};
  std::memcpy(bytes, text, std::min<std::size_t>(width, 8));
  return load_be<std::uint64_t>(bytes);
}

// starts_of counts rows by agency: element a is where agency a begins among the sorted rows.
std::vector<std::uint64_t> starts_of(std::span<const keystore::AgencyNumber> agencies,
                                     std::span<const RowResult> results) {
  const auto highest = std::max_element(agencies.begin(), agencies.end());
  const std::size_t numbers = highest == agencies.end() ? 0 : *highest + std::size_t{1};
  std::vector<std::uint64_t> starts(numbers + 1);
  for (std::size_t i = 0; i < agencies.size(); ++i)
    if (results[i] != RowResult::kLeftOut) ++starts[agencies[i] + std::size_t{1}];
  for (std::size_t a = 1; a < starts.size(); ++a) starts[a] += starts[a - 1];
  return starts;
}

// AgencySorter sorts one agency's records; they mostly fit into the processor's cache.
class AgencySorter {
 public:
  explicit AgencySorter(const AnswerParts::Part& part) : part_(part) {}

  // sort orders `count` records by processing number as bytes, in place.
  void sort(std::uint8_t* records, std::size_t count) {
    const std::size_t size = part_.record_bytes(), width = part_.width;
    keys_.clear();
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint8_t* record = records + i * size;
      keys_.push_back(
          {load_padded(record, width), width > 8 ? load_padded(record + 8, width - 8) : 0, record});
    }
    const auto before = [width](const SortKey& a, const SortKey& b) {
      if (a.high != b.high) return a.high < b.high;
      if (a.low != b.low) return a.low < b.low;
      return std::memcmp(a.record, b.record, width) < 0;
    };
    if (std::is_sorted(keys_.begin(), keys_.end(), before)) return;
    std::sort(keys_.begin(), keys_.end(), before);
    sorted_.resize(count * size);
    for (std::size_t i = 0; i < count; ++i)
      std::memcpy(sorted_.data() + i * size, keys_[i].record, size);
    std::memcpy(records, sorted_.data(), sorted_.size());
  }

 private:
  const AnswerParts::Part& part_;
  std::vector<SortKey> keys_;
  std::vector<std::uint8_t> sorted_;
};

}  // namespace

Result<AnswerParts> AnswerParts::create(const std::filesystem::path& directory) {
  AnswerParts parts;
  FUGO_ASSIGN(parts.file_, SpillFile::create(directory));
  return parts;
}

Status AnswerParts::add(std::span<const keystore::AgencyNumber> agencies,
                        std::span<const std::string_view> processing_numbers,
                        std::span<const Block> symbols, std::span<const RowResult> results,
                        keystore::Generation version) {
  const std::size_t rows = agencies.size();
  if (processing_numbers.size() != rows || symbols.size() != rows || results.size() != rows)
    return fail(ErrorCode::kInternal, "a segment's answers have columns of unequal length");
  Part part;
  part.offset = file_.size();
  part.version = version;
  for (const auto number : processing_numbers) part.width = std::max(part.width, number.size());
  if (part.width > kMaxProcessingNumberLength)
    return fail(ErrorCode::kInternal, "an answer's processing number is too long");
  part.first = starts_of(agencies, results);
  if (counts_.size() < part.first.size()) counts_.resize(part.first.size());
  // Rows go to their agency's place in the order of the file, so that both are walked in order.
  const std::size_t size = part.record_bytes();
  std::vector<std::uint8_t> records(part.first.back() * size);
  auto next = part.first;
  for (std::size_t row = 0; row < rows; ++row) {
    if (results[row] == RowResult::kLeftOut) continue;
    std::uint8_t* record = records.data() + next[agencies[row]]++ * size;
    std::memcpy(record, processing_numbers[row].data(), processing_numbers[row].size());
    std::memcpy(record + part.width, symbols[row].bytes.data(), sizeof(Block));
    record[part.width + sizeof(Block)] = static_cast<std::uint8_t>(results[row]);
    Count& count = counts_[agencies[row]];
    ++(results[row] == RowResult::kNew ? count.count_new : count.count_existing);
  }
  AgencySorter sorter(part);
  for (std::size_t a = 0; a + 1 < part.first.size(); ++a)
    sorter.sort(records.data() + part.first[a] * size, part.first[a + 1] - part.first[a]);
  FUGO_TRY(file_.append(records).map([](std::uint64_t) {}));
  parts_.push_back(std::move(part));
  return {};
}

}  // namespace fugo::daemon
