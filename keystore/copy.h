// Copying a ledger while it is used: everything of one commit, sealed as it stands.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "keystore/ledger.h"

namespace fugo::keystore {

// CopiedFile is one file of a copy.
struct CopiedFile {
  std::string name;  // relative: "data.mdb", "data/0000000001.fugo"
  std::uint64_t bytes = 0;
  std::array<std::uint8_t, 32> sha256{};
  friend bool operator==(const CopiedFile&, const CopiedFile&) = default;
};

// CopyProgress is told, from any thread but one call at a time, how much is done.
using CopyProgress = std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>;

// copy_files copies files that do not change, of those names (with their directory, where they have
// one), from one directory to another, mode 0600, on every core, and syncs them and both levels of
// the copy. kIo with native ENOENT, and nothing is copied, when one of them is not there; what goes
// away after that is copied all the same.
[[nodiscard]] Result<std::vector<CopiedFile>> copy_files(const std::filesystem::path& from,
                                                         const std::filesystem::path& to,
                                                         const std::vector<std::string>& names,
                                                         const CopyProgress& progress);

// copy_exactly copies, as copy_files does, files that must be these and no others: kDamaged, naming
// the file, for one that is missing or differs. Of one that is longer no more is written than it
// was to have.
[[nodiscard]] Status copy_exactly(const std::filesystem::path& from,
                                  const std::filesystem::path& to,
                                  const std::vector<CopiedFile>& files,
                                  const CopyProgress& progress);

// LedgerCopy is what a copy holds.
struct LedgerCopy {
  std::int64_t time = 0;  // everything that was committed before it is in the copy
  LedgerState state;
  std::vector<CopiedFile> files;    // data.mdb first
  std::vector<std::string> kept{};  // files that the rows name too, and that were known already
};

// copy_ledger copies the ledger as of one commit into `to`, an existing empty directory, durably,
// while other processes go on: LMDB's rows first, then the files that these name, which never
// change; files that were merged away in between make it begin again with newer rows. kStale when
// the ledger was given new keys meanwhile; kRefused when files keep going away. Files whose names
// are `known` are not copied: whoever gets the copy has them.
[[nodiscard]] Result<LedgerCopy> copy_ledger(Ledger& ledger, const std::filesystem::path& to,
                                             const CopyProgress& progress = {},
                                             const std::set<std::string>& known = {});

}  // namespace fugo::keystore
