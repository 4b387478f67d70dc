#include "keystore/bulk_reader.h"

namespace fugo::keystore {
namespace {

// A zero-padded tail: the bytes of a block behind its last entry or fence.
bool padding_is_zero(const std::uint8_t* plain, std::size_t used) {
  return std::all_of(plain + used, plain + kPlainBytes, [](std::uint8_t b) { return b == 0; });
}

}  // namespace

Result<std::shared_ptr<const BulkFile>> BulkFile::open(const BulkPlace& place, const FileRow& row) {
  std::shared_ptr<BulkFile> file(new BulkFile());
  file->row_ = row;
  file->path_ = file_place(place, row.number);
  file->layout_ = find_layout(row.kind);
  constexpr std::uint64_t kMaxEntries = std::uint64_t{1} << 48U;  // keeps sizes within 64 bits
  if (file->layout_ == nullptr || row.entries > kMaxEntries ||
      row.bytes != file->layout_->file_bytes(row.entries))
    return fail(ErrorCode::kDamaged, "the manifest's row of this file makes no sense", file->path_);
  FUGO_ASSIGN(file->mapped_, MappedFile::open(file->path_));
  if (file->mapped_.size() != row.bytes)
    return fail(ErrorCode::kDamaged,
                "has " + std::to_string(file->mapped_.size()) + " bytes, must have " +
                    std::to_string(row.bytes),
                file->path_);
  FUGO_TRY(derive_block_key(place, row, file->block_key_));
  return std::shared_ptr<const BulkFile>(std::move(file));
}

BulkFile::~BulkFile() { wipe(fences_.data(), fences_.size() * sizeof(std::uint64_t)); }

std::size_t BulkFile::entries_in(std::uint64_t block) const {
  const std::uint64_t before = block * layout_->entries_in_block;
  return static_cast<std::size_t>(
      std::min<std::uint64_t>(layout_->entries_in_block, row_.entries - before));
}

Result<std::span<const std::uint64_t>> BulkFile::fences() const {
  if (!fences_loaded_.load(std::memory_order_acquire)) FUGO_TRY(load_fences());
  return std::span<const std::uint64_t>(fences_);
}

Status BulkFile::load_fences() const {
  FUGO_ASSIGN(auto cipher, BlockCipher::create(block_key_, BlockCipher::Use::kOpen));
  const std::lock_guard lock(mutex_);
  if (fences_loaded_.load(std::memory_order_relaxed)) return {};
  const std::uint64_t data = data_blocks();
  const std::uint64_t blocks = layout_->fence_blocks(row_.entries);
  fences_.reserve(data);
  fences_.clear();
  PlainBlock plain;
  for (std::uint64_t block = data; block < data + blocks; ++block) {
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(kFencesInBlock, data - fences_.size()));
    if (!cipher.open(block, sealed(block), plain.data()))
      return damaged(block, "does not authenticate");
    if (!padding_is_zero(plain.data(), count * kFenceBytes))
      return damaged(block, "has padding that is not zero");
    for (std::size_t i = 0; i < count; ++i)
      fences_.push_back(load_fast<std::uint64_t>(plain.data() + i * kFenceBytes));
  }
  fences_loaded_.store(true, std::memory_order_release);
  return {};
}

tl::unexpected<Error> BulkFile::damaged(std::uint64_t block, std::string what) const {
  std::string where = path_;
  if (block != BlockReader::kNone) where += ", block " + std::to_string(block);
  return fail(ErrorCode::kDamaged, std::move(what), std::move(where),
              "take this file from the backup or the second site");
}

Result<BlockCipher> BulkFile::lend_cipher() const {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_ciphers_.empty()) {
      BlockCipher cipher = std::move(idle_ciphers_.back());
      idle_ciphers_.pop_back();
      return cipher;
    }
  }
  return BlockCipher::create(block_key_, BlockCipher::Use::kOpen);
}

void BulkFile::return_cipher(BlockCipher cipher) const {
  constexpr std::size_t kMaxIdle = 16;
  const std::lock_guard lock(mutex_);
  if (idle_ciphers_.size() < kMaxIdle) idle_ciphers_.push_back(std::move(cipher));
}

Result<BlockReader> BlockReader::create(const BulkFile& file) {
  FUGO_ASSIGN(auto cipher, file.lend_cipher());
  return BlockReader(file, std::move(cipher));
}

BlockReader::BlockReader(const BulkFile& file, BlockCipher cipher)
    : file_(&file), cipher_(std::move(cipher)) {}

BlockReader::BlockReader(BlockReader&& other) noexcept
    : file_(other.file_),
      cipher_(std::move(other.cipher_)),
      block_(std::exchange(other.block_, kNone)),
      plain_(other.plain_) {
  other.cipher_.reset();
}

BlockReader::~BlockReader() {
  if (cipher_) file_->return_cipher(std::move(*cipher_));
}

const std::uint8_t* BlockReader::load_other(std::uint64_t block) {
  block_ = kNone;
  if (!cipher_->open(block, file_->sealed(block), plain_.data())) return nullptr;
  const std::size_t used = file_->entries_in(block) * file_->layout().entry_bytes;
  if (!padding_is_zero(plain_.data(), used)) return nullptr;
  block_ = block;
  return plain_.data();
}

tl::unexpected<Error> BlockReader::failure(std::uint64_t block) const {
  return file_->damaged(block, "does not authenticate");
}

}  // namespace fugo::keystore
