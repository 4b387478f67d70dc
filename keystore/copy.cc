#include "keystore/copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <memory>
#include <mutex>
#include <set>

#include "base/file.h"
#include "base/parallel.h"
#include "base/text.h"
#include "keystore/ledger_impl.h"
#include "keystore/openssl_util.h"
#include "keystore/seal.h"

namespace fugo::keystore {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWhere = "copy of the ledger";
constexpr std::size_t kPieceBytes = 1U << 20U;
constexpr int kTries = 100;
constexpr std::uint64_t kAnyLength = std::numeric_limits<std::uint64_t>::max();
constexpr const char* kDiffers = "is not as it was when it was signed";

struct DigestContextDeleter {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

// ReadFile is a file that is read in pieces: a medium that fails answers an error, where reading it
// through a mapping would end the process.
struct ReadFile {
  UniqueFd fd;
  fs::path path;
  std::uint64_t bytes = 0;

  static Result<ReadFile> open(const fs::path& path) {
    ReadFile file;
    file.path = path;
    FUGO_ASSIGN(file.fd, open_file(path, O_RDONLY | O_NONBLOCK));  // a pipe would wait for a writer
    struct stat info {};
    if (::fstat(file.fd.get(), &info) != 0) return fail_errno("cannot read", path.string(), errno);
    if (!S_ISREG(info.st_mode))
      return fail(ErrorCode::kIo, "is not a regular file", path.string(), "name a file");
    file.bytes = static_cast<std::uint64_t>(info.st_size);
    ::posix_fadvise(file.fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    return file;
  }
  // read gives at least one byte, or none at the end.
  [[nodiscard]] Result<std::size_t> read(MutableByteView into) const {
    for (;;) {
      const ssize_t got = ::read(fd.get(), into.data(), into.size());
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno != EINTR) return fail_errno("cannot read", path.string(), errno);
    }
  }
};

// read_pieces hashes a file to its end, and gives each piece to `take`; kDamaged beyond `most`.
Status read_pieces(const ReadFile& from, CopiedFile& copied, std::uint64_t most,
                   const std::function<Status(ByteView)>& take) {
  const std::unique_ptr<EVP_MD_CTX, DigestContextDeleter> digest(EVP_MD_CTX_new());
  if (!digest || EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) != 1)
    return crypto_failure("EVP_DigestInit_ex");
  std::vector<std::uint8_t> memory(kPieceBytes);
  for (;;) {
    FUGO_ASSIGN(const std::size_t got, from.read(memory));
    if (got == 0) break;
    if (got > most - copied.bytes) return fail(ErrorCode::kDamaged, kDiffers, from.path.string());
    const auto piece = ByteView(memory).first(got);
    FUGO_TRY(take(piece));
    if (EVP_DigestUpdate(digest.get(), piece.data(), piece.size()) != 1)
      return crypto_failure("EVP_DigestUpdate");
    copied.bytes += got;
  }
  if (EVP_DigestFinal_ex(digest.get(), copied.sha256.data(), nullptr) != 1)
    return crypto_failure("EVP_DigestFinal_ex");
  return {};
}

// copy_one writes one file anew, synced; its name is its directory's to sync. The source is open,
// so it may be unlinked meanwhile.
Result<CopiedFile> copy_one(const ReadFile& from, const fs::path& to, const std::string& name,
                            std::uint64_t most) {
  const auto path = to / name;
  FUGO_ASSIGN(const UniqueFd file, open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0600));
  CopiedFile copied;
  copied.name = name;
  FUGO_TRY(read_pieces(from, copied, most,
                       [&](ByteView piece) { return write_all(file.get(), piece, path); }));
  FUGO_TRY(sync_file(file.get(), path));
  return copied;
}

// sync_copy makes the names in a copy and in its one level of directories durable.
Status sync_copy(const fs::path& to, const std::vector<std::string>& names) {
  std::set<fs::path> directories = {to};
  for (const auto& name : names) directories.insert((to / name).parent_path());
  for (const auto& directory : directories) FUGO_TRY(sync_directory(directory));
  return {};
}

// copy_most copies files, of each of which no more than so many bytes are taken.
Result<std::vector<CopiedFile>> copy_most(const fs::path& from, const fs::path& to,
                                          const std::vector<std::string>& names,
                                          const std::vector<std::uint64_t>& most,
                                          const CopyProgress& progress) {
  std::vector<ReadFile> files;  // all before the first is copied: what is open can go away
  std::uint64_t total = 0, done = 0;
  for (const auto& name : names) {
    FUGO_ASSIGN(auto file, ReadFile::open(from / name));
    total += file.bytes;
    files.push_back(std::move(file));
  }
  std::mutex mutex;  // guards done, and the calls of progress
  std::vector<CopiedFile> copied(names.size());
  FUGO_TRY(parallel_ranges(names.size(), 1, hardware_threads(),
                           [&](std::size_t first, std::size_t last, std::size_t) -> Status {
                             for (std::size_t i = first; i < last; ++i) {
                               FUGO_ASSIGN(copied[i], copy_one(files[i], to, names[i], most[i]));
                               const std::lock_guard lock(mutex);
                               done += copied[i].bytes;
                               if (progress) progress(done, total);
                             }
                             return {};
                           }));
  FUGO_TRY(sync_copy(to, names));
  return copied;
}

// LedgerCopier copies one ledger; an attempt that meets a file that went away copies no file.
class LedgerCopier {
 public:
  LedgerCopier(LedgerImpl& ledger, const fs::path& to, const CopyProgress& progress,
               const std::set<std::string>& known)
      : parts_(ledger.parts()), to_(to), progress_(progress), known_(known) {}

  Result<LedgerCopy> copy() {
    FUGO_TRY(make_directory(to_ / kBulkDirectory));
    std::uint64_t seen = 0;  // the commit of the attempt before
    for (int attempt = 1;; ++attempt) {
      LedgerCopy copy;
      const Status done = try_copy(copy);
      if (done) return copy;
      if (done.error().code != ErrorCode::kIo || done.error().native != ENOENT)
        return tl::unexpected<Error>(done.error());
      if (copy.state.commits == seen)
        return fail(ErrorCode::kDamaged, "a file that the manifest names is missing",
                    done.error().where, "run fugo verify");
      if (attempt == kTries)
        return fail(ErrorCode::kRefused, "files of the ledger keep being merged away", kWhere,
                    "try again when less is being issued");
      seen = copy.state.commits;
    }
  }

 private:
  Status try_copy(LedgerCopy& copy) {
    copy.time = unix_now();
    FUGO_TRY(copy_rows());
    std::vector<FileRow> rows;
    FUGO_TRY(read_rows(copy.state, rows));
    std::vector<std::string> names;
    copy.kept.clear();
    for (const FileRow& row : rows) {
      auto name = (fs::path(kBulkDirectory) / bulk_file_name(row.number)).string();
      (known_.contains(name) ? copy.kept : names).push_back(std::move(name));
    }
    FUGO_ASSIGN(copy.files, copy_files(parts_.directory, to_, names, progress_));
    FUGO_ASSIGN(auto rows_file, hash_rows());
    copy.files.insert(copy.files.begin(), std::move(rows_file));
    return sync_copy(to_, {kDataFile, std::string(kBulkDirectory) + "/"});
  }

  // copy_rows writes data.mdb as of the last commit, without pages that are free. One that LMDB
  // cannot write so (its own free list holds pages twice) is written as it is.
  Status copy_rows() {
    const auto path = to_ / kDataFile;
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)  // of the attempt before
      return fail_errno("cannot remove", path.string(), errno);
    FUGO_ASSIGN(const UniqueFd file, open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0600));
    int code = ::mdb_env_copyfd2(parts_.environment->handle(), file.get(), MDB_CP_COMPACT);
    if (code == MDB_INCOMPATIBLE) {
      if (::ftruncate(file.get(), 0) != 0 || ::lseek(file.get(), 0, SEEK_SET) != 0)
        return fail_errno("cannot empty", path.string(), errno);
      code = ::mdb_env_copyfd2(parts_.environment->handle(), file.get(), 0);
    }
    if (code != 0) return lmdb_error("cannot copy the ledger's database", code, path.string());
    return sync_file(file.get(), path);
  }

  // read_rows reads the manifest from the copy itself: it is of the same commit for certain.
  Status read_rows(LedgerState& state, std::vector<FileRow>& rows) const {
    FUGO_ASSIGN(const auto environment, Environment::open(to_, OpenMode::kRead));
    FUGO_ASSIGN(const auto transaction, begin_reading(environment, *parts_.sealer));
    FUGO_ASSIGN(state, read_state(*transaction, *parts_.sealer));
    FUGO_ASSIGN(rows, all_rows<FileRow>(*transaction, *parts_.sealer, Table::kManifest));
    return {};
  }

  // hash_rows takes LMDB's own files of the reading away, and hashes the rest.
  Result<CopiedFile> hash_rows() const {
    ::unlink((to_ / kLockFile).c_str());
    FUGO_ASSIGN(const auto rows, ReadFile::open(to_ / kDataFile));
    CopiedFile file{kDataFile, 0, {}};
    FUGO_TRY(read_pieces(rows, file, kAnyLength, [](ByteView) { return Status{}; }));
    return file;
  }

  const LedgerImpl::Parts& parts_;
  const fs::path& to_;
  const CopyProgress& progress_;
  const std::set<std::string>& known_;
};

}  // namespace

Result<std::vector<CopiedFile>> copy_files(const fs::path& from, const fs::path& to,
                                           const std::vector<std::string>& names,
                                           const CopyProgress& progress) {
  return copy_most(from, to, names, std::vector<std::uint64_t>(names.size(), kAnyLength), progress);
}

Status copy_exactly(const fs::path& from, const fs::path& to, const std::vector<CopiedFile>& files,
                    const CopyProgress& progress) {
  std::vector<std::string> names;
  std::vector<std::uint64_t> most;
  for (const auto& file : files) {
    names.push_back(file.name);
    most.push_back(file.bytes);
  }
  const auto copied = copy_most(from, to, names, most, progress);
  if (!copied && copied.error().code == ErrorCode::kIo && copied.error().native == ENOENT)
    return fail(ErrorCode::kDamaged, "is missing", copied.error().where);
  FUGO_TRY(copied.map([](auto&&) {}));
  for (std::size_t i = 0; i < files.size(); ++i)
    if ((*copied)[i] != files[i])
      return fail(ErrorCode::kDamaged, kDiffers, (from / files[i].name).string());
  return {};
}

Result<LedgerCopy> copy_ledger(Ledger& ledger, const fs::path& to, const CopyProgress& progress,
                               const std::set<std::string>& known) {
  auto* implementation = dynamic_cast<LedgerImpl*>(&ledger);
  if (implementation == nullptr)
    return fail(ErrorCode::kInternal, "the ledger cannot be copied", kWhere);
  return LedgerCopier(*implementation, to, progress, known).copy();
}

}  // namespace fugo::keystore
