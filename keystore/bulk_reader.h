// Reading bulk files: an open file, one reader's view of its blocks, and runs read in order.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/file.h"
#include "keystore/block_cipher.h"
#include "keystore/bulk_format.h"

namespace fugo::keystore {

// BulkFile is one file of the manifest, mapped. Thread-safe.
class BulkFile {
 public:
  // open: kIo when it cannot be opened; kDamaged when its length is not what the row says.
  [[nodiscard]] static Result<std::shared_ptr<const BulkFile>> open(const BulkPlace& place,
                                                                    const FileRow& row);
  ~BulkFile();
  BulkFile(const BulkFile&) = delete;
  BulkFile& operator=(const BulkFile&) = delete;

  [[nodiscard]] const FileRow& row() const { return row_; }
  [[nodiscard]] const BulkLayout& layout() const { return *layout_; }
  [[nodiscard]] std::uint64_t data_blocks() const { return layout_->data_blocks(row_.entries); }
  // entries_in is the number of entries of a data block: less than others in the last.
  [[nodiscard]] std::size_t entries_in(std::uint64_t block) const;
  [[nodiscard]] const std::uint8_t* sealed(std::uint64_t block) const {
    return mapped_.bytes().data() + block * kBlockBytes;
  }
  void advise_sequential() const { mapped_.advise_sequential(); }

  // fences are the first keys of all data blocks, opened at the first call. kDamaged.
  [[nodiscard]] Result<std::span<const std::uint64_t>> fences() const;

  // damaged is the error about one block.
  [[nodiscard]] tl::unexpected<Error> damaged(std::uint64_t block, std::string what) const;

 private:
  friend class BlockReader;
  BulkFile() = default;
  [[nodiscard]] Result<BlockCipher> lend_cipher() const;
  void return_cipher(BlockCipher cipher) const;
  [[nodiscard]] Status load_fences() const;

  // Constant after open().
  FileRow row_;
  const BulkLayout* layout_ = nullptr;
  std::string path_;
  MappedFile mapped_;
  SecretBytes<32> block_key_;

  mutable std::mutex mutex_;
  mutable std::vector<BlockCipher> idle_ciphers_;  // guarded by mutex_
  mutable std::atomic<bool> fences_loaded_{false};
  mutable std::vector<std::uint64_t> fences_;  // written under mutex_ before fences_loaded_
};

// BlockReader opens blocks of one file, one at a time, for one thread. The text is wiped when the
// reader goes. The file must outlive it.
class BlockReader {
 public:
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};

  [[nodiscard]] static Result<BlockReader> create(const BulkFile& file);
  ~BlockReader();
  BlockReader(BlockReader&& other) noexcept;
  BlockReader& operator=(BlockReader&&) = delete;

  // load opens a block unless it is the one that is open already. Null when it does not
  // authenticate or its padding is not zero: failure() tells.
  [[nodiscard]] const std::uint8_t* load(std::uint64_t block) {
    return block == block_ ? plain_.data() : load_other(block);
  }
  [[nodiscard]] std::uint64_t loaded() const { return block_; }
  [[nodiscard]] const BulkFile& file() const { return *file_; }
  [[nodiscard]] tl::unexpected<Error> failure(std::uint64_t block) const;

 private:
  BlockReader(const BulkFile& file, BlockCipher cipher);
  [[nodiscard]] const std::uint8_t* load_other(std::uint64_t block);

  const BulkFile* file_;
  std::optional<BlockCipher> cipher_;
  std::uint64_t block_ = kNone;
  PlainBlock plain_;
};

// RunCursor gives a file's entries at positions [first, last) in order. One thread at a time.
template <typename Codec>
class RunCursor {
 public:
  using Entry = typename Codec::Entry;

  [[nodiscard]] static Result<RunCursor> create(const BulkFile& file, std::uint64_t first,
                                                std::uint64_t last) {
    FUGO_ASSIGN(auto reader, BlockReader::create(file));
    RunCursor cursor(std::move(reader), first, std::min(last, file.row().entries));
    FUGO_TRY(cursor.settle());
    return cursor;
  }
  // current is null at the end.
  [[nodiscard]] const Entry* current() const { return at_end_ ? nullptr : &entry_; }
  [[nodiscard]] Status advance() {
    ++position_;
    return settle();
  }
  [[nodiscard]] const BulkFile& file() const { return reader_.file(); }
  ~RunCursor() { wipe(&entry_, sizeof entry_); }
  RunCursor(RunCursor&&) noexcept = default;
  RunCursor& operator=(RunCursor&&) = delete;

 private:
  RunCursor(BlockReader reader, std::uint64_t first, std::uint64_t last)
      : reader_(std::move(reader)), position_(first), last_(last) {}

  Status settle() {
    at_end_ = position_ >= last_;
    if (at_end_) return {};
    const std::uint64_t block = position_ / Codec::kLayout.entries_in_block;
    const std::uint8_t* plain = reader_.load(block);
    if (plain == nullptr) return reader_.failure(block);
    Codec::decode(
        plain + (position_ % Codec::kLayout.entries_in_block) * Codec::kLayout.entry_bytes, entry_);
    return {};
  }

  BlockReader reader_;
  std::uint64_t position_;
  std::uint64_t last_;
  Entry entry_{};
  bool at_end_ = true;
};

// RunMerger gives the entries of several files in order. One thread at a time.
template <typename Codec>
class RunMerger {
 public:
  using Entry = typename Codec::Entry;

  void add(RunCursor<Codec> cursor) {
    if (cursor.current() != nullptr) cursors_.push_back(std::move(cursor));
  }
  // next writes up to out.size() entries and returns how many; 0 at the end. An entry that two
  // runs hold is kDamaged.
  [[nodiscard]] Result<std::size_t> next(std::span<Entry> out) {
    std::size_t count = 0;
    while (count < out.size() && !cursors_.empty()) {
      std::size_t first = 0;
      for (std::size_t i = 1; i < cursors_.size(); ++i)
        if (Codec::before(*cursors_[i].current(), *cursors_[first].current())) first = i;
      RunCursor<Codec>& run = cursors_[first];
      if (last_ && !Codec::before(*last_, *run.current()))
        return run.file().damaged(BlockReader::kNone, "repeats an entry of another file");
      out[count++] = *run.current();
      if constexpr (Codec::kLayout.fences) last_ = *run.current();
      FUGO_TRY(run.advance());
      if (run.current() == nullptr) drop(first);
    }
    return count;
  }

 private:
  void drop(std::size_t i) {
    std::vector<RunCursor<Codec>> rest;
    for (std::size_t k = 0; k < cursors_.size(); ++k)
      if (k != i) rest.push_back(std::move(cursors_[k]));
    cursors_ = std::move(rest);
  }

  std::vector<RunCursor<Codec>> cursors_;
  std::optional<Entry> last_;
};

}  // namespace fugo::keystore
