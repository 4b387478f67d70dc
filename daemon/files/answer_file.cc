#include "daemon/files/answer_file.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>

namespace fugo::daemon {
namespace {

constexpr std::size_t kBufferBytes = 64U << 10U;

tl::unexpected<Error> hash_failed() {
  return fail(ErrorCode::kInternal, "SHA-256 failed", "OpenSSL",
              "check the installation of OpenSSL");
}

}  // namespace

Result<Sha256Stream> Sha256Stream::create() {
  Sha256Stream stream;
  stream.context_.reset(EVP_MD_CTX_new());
  if (stream.context_ == nullptr ||
      EVP_DigestInit_ex(stream.context_.get(), EVP_sha256(), nullptr) != 1)
    return hash_failed();
  return stream;
}

Status Sha256Stream::update(ByteView bytes) {
  if (EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1) return hash_failed();
  return {};
}

Result<Sha256> Sha256Stream::finish() {
  Sha256 digest{};
  if (EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) != 1) return hash_failed();
  return digest;
}

Result<AnswerFile> AnswerFile::create(const std::filesystem::path& path, ByteView certificate) {
  AnswerFile file;
  file.path_ = path;
  FUGO_ASSIGN(file.fd_, open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0600));
  FUGO_ASSIGN(file.sha256_, Sha256Stream::create());
  if (!certificate.empty()) {
    FUGO_ASSIGN(file.writer_, SealedWriter::create(file.fd_.get(), certificate, path));
  }
  file.buffer_.resize(kBufferBytes);
  return file;
}

Status AnswerFile::append(std::string_view text) {
  while (!text.empty()) {
    if (used_ == buffer_.size()) FUGO_TRY(flush());
    const std::size_t size = std::min(text.size(), buffer_.size() - used_);
    std::memcpy(buffer_.data() + used_, text.data(), size);
    used_ += size;
    text.remove_prefix(size);
  }
  return {};
}

Status AnswerFile::flush() {
  const ByteView bytes = as_bytes({buffer_.data(), used_});
  FUGO_TRY(sha256_.update(bytes));
  FUGO_TRY(writer_ ? writer_->write(bytes) : write_all(fd_.get(), bytes, path_));
  used_ = 0;
  return {};
}

Result<Sha256> AnswerFile::finish() {
  FUGO_TRY(flush());
  buffer_ = {};
  if (writer_) {
    FUGO_ASSIGN(sealed_, writer_->finish());
    writer_.reset();
  }
  // Only a hint: when many files are then synced one after the other, most of them are there.
  ::sync_file_range(fd_.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
  return sha256_.finish();
}

Status AnswerFile::sync() {
  FUGO_TRY(sync_file(fd_.get(), path_));
  fd_.reset();
  return {};
}

Result<Sha256> hash_file(const std::filesystem::path& path) {
  FUGO_ASSIGN(const auto file, MappedFile::open(path));
  FUGO_ASSIGN(auto stream, Sha256Stream::create());
  FUGO_TRY(stream.update(file.bytes()));
  return stream.finish();
}

}  // namespace fugo::daemon
