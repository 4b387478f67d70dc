// The files of a rekey: those that stay, written anew. Private to keystore.
#pragma once

#include <functional>
#include <mutex>
#include <set>
#include <vector>

#include "base/result.h"
#include "keystore/bulk_files.h"
#include "keystore/ledger_keys.h"
#include "keystore/rekey.h"

namespace fugo::keystore {

// RekeyMeter adds up what threads have done.
class RekeyMeter {
 public:
  RekeyMeter(const RekeyProgress& progress, std::uint64_t total)
      : progress_(progress), total_(total) {}
  void add(std::uint64_t bytes);
  void finish();

 private:
  const RekeyProgress& progress_;
  const std::uint64_t total_;
  std::mutex mutex_;
  std::uint64_t done_ = 0;  // guarded by mutex_
};

// FileRewriter writes a ledger's files anew under keys of their own. Unless keep() was called,
// what it wrote is removed when it goes. Memory is bounded whatever the ledger's size.
class FileRewriter {
 public:
  struct Source {
    const BulkPlace& place;
    const Snapshot& snapshot;  // patches are left alone: records are read from the files
    const LedgerKeys& keys;    // the new ones
    std::function<FileNumber(std::uint64_t)> take_numbers;
    std::function<bool()> stop;  // may be empty
  };
  FileRewriter(Source source, RekeyMeter& meter) : source_(std::move(source)), meter_(meter) {}
  ~FileRewriter();
  FileRewriter(const FileRewriter&) = delete;
  FileRewriter& operator=(const FileRewriter&) = delete;

  // write makes all files for `rows`, the manifest's rows that stay.
  [[nodiscard]] Status write(const std::vector<FileRow>& rows);
  // files are those written, in order of their numbers.
  [[nodiscard]] std::vector<FileRow> files() const;
  void keep() { kept_ = true; }

 private:
  [[nodiscard]] Status copy(const std::vector<FileRow>& rows);
  [[nodiscard]] Status make_index(Generation generation, PersonId people);
  [[nodiscard]] Result<FileRow> write_range(Generation generation, PersonId first, PersonId last);
  [[nodiscard]] Status merge_index(Generation generation);
  void add(const FileRow& row);
  [[nodiscard]] Status going() const;

  const Source source_;
  RekeyMeter& meter_;
  mutable std::mutex mutex_;
  std::vector<FileRow> files_;  // guarded by mutex_
  bool kept_ = false;
};

}  // namespace fugo::keystore
