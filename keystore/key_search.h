// Looking up ascending keys in one bulk file that has fences.
#pragma once

#include <span>

#include "keystore/bulk_reader.h"

namespace fugo::keystore {

// first_at_least is the first of [from, size) that is not below `key` in ascending `keys`; near
// `from` it costs few steps.
[[nodiscard]] inline std::size_t first_at_least(std::span<const std::uint64_t> keys,
                                                std::size_t from, std::uint64_t key) {
  std::size_t step = 1;
  while (from + step <= keys.size() && keys[from + step - 1] < key) {
    from += step;
    step *= 2;
  }
  const auto end = keys.begin() + static_cast<std::ptrdiff_t>(std::min(from + step, keys.size()));
  const auto begin = keys.begin() + static_cast<std::ptrdiff_t>(from);
  return static_cast<std::size_t>(std::lower_bound(begin, end, key) - keys.begin());
}

// KeySearch finds entries by key; keys must come in ascending order, so that every block is opened
// once at most. One thread at a time.
template <typename Codec>
class KeySearch {
 public:
  [[nodiscard]] static Result<KeySearch> create(const BulkFile& file) {
    FUGO_ASSIGN(const auto fences, file.fences());
    FUGO_ASSIGN(auto reader, BlockReader::create(file));
    return KeySearch(std::move(reader), fences);
  }

  // find calls found(entry) for every entry of this key.
  template <typename Found>
  [[nodiscard]] Status find(std::uint64_t key, Found&& found) {
    if (!seek_block(key)) return {};
    for (std::size_t block = block_;; ++block) {
      const std::uint8_t* plain = reader_.load(block);
      if (plain == nullptr) return reader_.failure(block);
      const std::size_t count = reader_.file().entries_in(block);
      std::size_t i = 0;
      if (block == block_) i = in_block_ = lower_bound(plain, in_block_, count, key);
      for (; i < count; ++i) {
        const std::uint8_t* stored = plain + i * Codec::kLayout.entry_bytes;
        if (Codec::stored_key(stored) != key) return {};
        typename Codec::Entry entry;
        Codec::decode(stored, entry);
        found(entry);
      }
      if (block + 1 >= fences_.size() || fences_[block + 1] != key) return {};
    }
  }

  // position is that of the first entry whose key is not below `key`.
  [[nodiscard]] Result<std::uint64_t> position(std::uint64_t key) {
    if (!seek_block(key)) return 0;
    const std::uint8_t* plain = reader_.load(block_);
    if (plain == nullptr) return reader_.failure(block_);
    const std::size_t count = reader_.file().entries_in(block_);
    return block_ * Codec::kLayout.entries_in_block + lower_bound(plain, 0, count, key);
  }

 private:
  KeySearch(BlockReader reader, std::span<const std::uint64_t> fences)
      : reader_(std::move(reader)), fences_(fences) {}

  // seek_block chooses the first block that may hold the key: the one before the first fence that
  // is not below it. False when every key of the file is above.
  bool seek_block(std::uint64_t key) {
    fence_ = first_at_least(fences_, fence_, key);
    if (fence_ == 0 && (fences_.empty() || fences_[0] != key)) return false;
    const std::size_t block = fence_ == 0 ? 0 : fence_ - 1;
    if (block != block_) in_block_ = 0;
    block_ = block;
    return true;
  }

  // lower_bound over stored entries, without branches that depend on them.
  static std::size_t lower_bound(const std::uint8_t* plain, std::size_t from, std::size_t to,
                                 std::uint64_t key) {
    std::size_t size = to - from;
    while (size > 0) {
      const std::size_t half = (size + 1) / 2;
      const std::uint64_t probe =
          Codec::stored_key(plain + (from + half - 1) * Codec::kLayout.entry_bytes);
      from += probe < key ? half : 0;
      size -= half;
    }
    return from;
  }

  BlockReader reader_;
  std::span<const std::uint64_t> fences_;
  std::size_t fence_ = 0;     // first fence that is not below the last key
  std::size_t block_ = 0;     // where the last search was
  std::size_t in_block_ = 0;  // entries of block_ before this one are below the last key
};

}  // namespace fugo::keystore
