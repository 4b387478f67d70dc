// Writing one bulk file from front to back.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/file.h"
#include "keystore/block_cipher.h"
#include "keystore/bulk_format.h"

namespace fugo::keystore {

// BlockWriter writes sealed blocks through a buffer. Unless finish() was reached the file is
// removed again when it goes. One thread at a time.
class BlockWriter {
 public:
  // create makes a new file; `row` says number, kind and generation, and gets a fresh key.
  [[nodiscard]] static Result<BlockWriter> create(const BulkPlace& place, FileRow& row);
  ~BlockWriter();
  BlockWriter(BlockWriter&& other) noexcept = default;
  BlockWriter& operator=(BlockWriter&&) = delete;

  // put seals kPlainBytes as the next block.
  [[nodiscard]] Status put(const std::uint8_t* plain);
  // finish writes what is buffered and syncs the file (not the directory).
  [[nodiscard]] Status finish();
  [[nodiscard]] std::uint64_t blocks() const { return blocks_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  BlockWriter(std::string path, UniqueFd fd, BlockCipher cipher);
  [[nodiscard]] Status flush();

  std::string path_;
  UniqueFd fd_;  // moved from, or finished: none
  BlockCipher cipher_;
  std::vector<std::uint8_t> buffer_;  // sealed blocks only
  std::size_t buffered_ = 0;
  std::uint64_t blocks_ = 0;
  std::uint64_t flushed_bytes_ = 0;
  std::uint64_t writeback_from_ = 0;
};

// EntryWriter writes entries of one kind, in their order, and the fences after them.
template <typename Codec>
class EntryWriter {
 public:
  using Entry = typename Codec::Entry;

  // create: `generation` of issued files is 0; `first_id` is for person files.
  [[nodiscard]] static Result<EntryWriter> create(const BulkPlace& place, FileNumber number,
                                                  Generation generation, PersonId first_id = 0) {
    FileRow row;
    row.number = number;
    row.kind = Codec::kLayout.kind;
    row.generation = generation;
    row.first_id = first_id;
    FUGO_ASSIGN(auto blocks, BlockWriter::create(place, row));
    return EntryWriter(std::move(blocks), row);
  }

  // append: kInternal when an entry is not after the one before it.
  [[nodiscard]] Status append(std::span<const Entry> entries) {
    for (const Entry& entry : entries) {
      if (last_ && !Codec::before(*last_, entry))
        return fail(ErrorCode::kInternal, "entries are not in order", blocks_.path());
      if (in_block_ == 0 && Codec::kLayout.fences) fences_.push_back(Codec::key(entry));
      Codec::encode(entry, plain_.data() + in_block_ * Codec::kLayout.entry_bytes);
      if constexpr (Codec::kLayout.fences) last_ = entry;
      if (++in_block_ == Codec::kLayout.entries_in_block) FUGO_TRY(put_data());
    }
    row_.entries += entries.size();
    return {};
  }

  // finish gives the row of the file, which is whole and synced then.
  [[nodiscard]] Result<FileRow> finish() {
    if (in_block_ != 0) FUGO_TRY(put_data());
    for (std::size_t i = 0; i < fences_.size(); ++i) {
      store_be(plain_.data() + in_block_ * kFenceBytes, fences_[i]);
      if (++in_block_ == kFencesInBlock || i + 1 == fences_.size()) FUGO_TRY(put_fences());
    }
    FUGO_TRY(blocks_.finish());
    row_.bytes = blocks_.blocks() * kBlockBytes;
    return row_;
  }

 private:
  EntryWriter(BlockWriter blocks, const FileRow& row) : blocks_(std::move(blocks)), row_(row) {}

  Status put_data() { return put_padded(in_block_ * Codec::kLayout.entry_bytes); }
  Status put_fences() { return put_padded(in_block_ * kFenceBytes); }
  Status put_padded(std::size_t used) {
    std::memset(plain_.data() + used, 0, kPlainBytes - used);
    in_block_ = 0;
    return blocks_.put(plain_.data());
  }

  BlockWriter blocks_;
  FileRow row_;
  PlainBlock plain_;
  std::size_t in_block_ = 0;
  std::vector<std::uint64_t> fences_;
  std::optional<Entry> last_;  // of kinds that are ordered by their content
};

}  // namespace fugo::keystore
