#include "keystore/usage.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "keystore/ledger_impl.h"

namespace fugo::keystore {
namespace {

// LMDB keeps lists of free pages in its database 0: each begins with its length.
constexpr MDB_dbi kFreeList = 0;

Result<std::uint64_t> count_free_pages(MDB_txn* txn) {
  MDB_cursor* raw = nullptr;
  int code = ::mdb_cursor_open(txn, kFreeList, &raw);
  if (code != 0) return lmdb_error("cannot read the list of free pages", code, kDataFile);
  const std::unique_ptr<MDB_cursor, decltype(&::mdb_cursor_close)> cursor(raw, ::mdb_cursor_close);
  std::uint64_t pages = 0;
  MDB_val key{}, value{};
  while ((code = ::mdb_cursor_get(raw, &key, &value, MDB_NEXT)) == 0) {
    std::uint64_t length = 0;
    std::memcpy(&length, value.mv_data, std::min(sizeof length, value.mv_size));
    pages += length;
  }
  if (code != MDB_NOTFOUND)
    return lmdb_error("cannot read the list of free pages", code, kDataFile);
  return pages;
}

Status read_pages(const Environment& environment, LedgerUsage& usage) {
  MDB_txn* raw = nullptr;
  const int code = ::mdb_txn_begin(environment.handle(), nullptr, MDB_RDONLY, &raw);
  if (code != 0) return lmdb_error("cannot begin to read", code, kDataFile);
  const std::unique_ptr<MDB_txn, decltype(&::mdb_txn_abort)> txn(raw, ::mdb_txn_abort);
  MDB_stat stat{};
  MDB_envinfo info{};
  ::mdb_env_stat(environment.handle(), &stat);
  ::mdb_env_info(environment.handle(), &info);
  usage.page_bytes = stat.ms_psize;
  usage.pages = info.me_last_pgno + 1;
  usage.map_bytes = info.me_mapsize;
  usage.readers = info.me_numreaders;
  FUGO_ASSIGN(usage.free_pages, count_free_pages(raw));
  return {};
}

}  // namespace

void CommitTimes::add(std::chrono::nanoseconds duration) {
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(duration).count();
  const auto bucket = std::lower_bound(kCommitBounds.begin(), kCommitBounds.end(), milliseconds);
  const auto at = static_cast<std::size_t>(bucket - kCommitBounds.begin());
  buckets_[at].fetch_add(1, std::memory_order_relaxed);
  nanoseconds_.fetch_add(static_cast<std::uint64_t>(duration.count()), std::memory_order_relaxed);
}

CommitTimes::View CommitTimes::view() const {
  View view;
  for (std::size_t i = 0; i < buckets_.size(); ++i)
    view.buckets[i] = buckets_[i].load(std::memory_order_relaxed);
  view.nanoseconds = nanoseconds_.load(std::memory_order_relaxed);
  return view;
}

Result<LedgerUsage> LedgerImpl::usage() const {
  LedgerUsage usage;
  FUGO_TRY(read_pages(*parts_.environment, usage));
  FUGO_ASSIGN(const auto files, snapshot());
  for (std::size_t i = 0; i < usage.bulk.size(); ++i)
    usage.bulk[i].kind = static_cast<FileKind>(i + 1);
  for (const auto& file : files->files()) {
    auto& bulk = usage.bulk[static_cast<std::size_t>(file.kind) - 1];
    ++bulk.files;
    bulk.bytes += file.bytes;
    bulk.entries += file.entries;
  }
  usage.commits = parts_.environment->commit_times().view();
  return usage;
}

}  // namespace fugo::keystore
