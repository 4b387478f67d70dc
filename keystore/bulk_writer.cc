#include "keystore/bulk_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>

#include "base/group_share.h"

namespace fugo::keystore {
namespace {

constexpr std::size_t kBufferBytes = 1U << 20U;
constexpr std::uint64_t kWritebackBytes = 8U << 20U;
constexpr unsigned kMode = 0600;
constexpr std::time_t kTimeOfFiles = 946'684'800;  // 2000-01-01, of every bulk file

}  // namespace

Result<BlockWriter> BlockWriter::create(const BulkPlace& place, FileRow& row) {
  FUGO_TRY(random_secret(row.key.bytes()));
  SecretBytes<32> key;
  FUGO_TRY(derive_block_key(place, row, key));
  FUGO_ASSIGN(auto cipher, BlockCipher::create(key, BlockCipher::Use::kSeal));
  std::string path = file_place(place, row.number);
  FUGO_ASSIGN(UniqueFd fd, open_file(path, O_WRONLY | O_CREAT | O_EXCL, kMode));
  auto shared = share_file(fd.get(), path);  // the linking group reads bulk files
  if (!shared) {
    ::unlink(path.c_str());
    return tl::unexpected<Error>(std::move(shared).error());
  }
  return BlockWriter(std::move(path), std::move(fd), std::move(cipher));
}

BlockWriter::BlockWriter(std::string path, UniqueFd fd, BlockCipher cipher)
    : path_(std::move(path)),
      fd_(std::move(fd)),
      cipher_(std::move(cipher)),
      buffer_(kBufferBytes) {}

BlockWriter::~BlockWriter() {
  if (fd_) ::unlink(path_.c_str());
}

Status BlockWriter::put(const std::uint8_t* plain) {
  if (buffered_ == buffer_.size()) FUGO_TRY(flush());
  FUGO_TRY(cipher_.seal(blocks_, plain, buffer_.data() + buffered_));
  buffered_ += kBlockBytes;
  ++blocks_;
  return {};
}

Status BlockWriter::flush() {
  FUGO_TRY(write_all(fd_.get(), ByteView(buffer_).first(buffered_), path_));
  flushed_bytes_ += buffered_;
  buffered_ = 0;
  // Start writing back early, so that the sync at the end does not have to do it all. Only a hint:
  // its outcome does not matter, fsync tells.
  if (flushed_bytes_ - writeback_from_ >= kWritebackBytes) {
    ::sync_file_range(fd_.get(), static_cast<off64_t>(writeback_from_),
                      static_cast<off64_t>(flushed_bytes_ - writeback_from_),
                      SYNC_FILE_RANGE_WRITE);
    writeback_from_ = flushed_bytes_;
  }
  return {};
}

Status BlockWriter::finish() {
  FUGO_TRY(flush());
  // A file's time would tell a thief of the directory when its people were issued symbols.
  const timespec when{kTimeOfFiles, 0};
  const std::array<timespec, 2> both{when, when};
  if (::futimens(fd_.get(), both.data()) != 0)
    return fail_errno("cannot set the time of the file", path_, errno);
  FUGO_TRY(sync_file(fd_.get(), path_));
  fd_.reset();
  return {};
}

}  // namespace fugo::keystore
