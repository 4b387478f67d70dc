// A ledger that stands by: it follows another site's, or was handed over to one, and is not
// written by anybody until this site takes over. See docs/second-site.md.
#pragma once

#include <filesystem>
#include <memory>

#include "base/file.h"
#include "base/result.h"
#include "base/secret.h"
#include "keystore/ledger.h"

namespace fugo::keystore {

// kStandbyMark is the file in the ledger's directory that says so. While it is there Ledger::open
// gives reading only, and each write transaction of a process that has the ledger open already is
// refused: the mark is looked for after it began.
inline constexpr const char* kStandbyMark = "standby.json";

// stands_by tells whether the mark is there; what cannot be looked at counts as there.
[[nodiscard]] bool stands_by(const std::filesystem::path& ledger);

// check_serves is kRefused when the ledger stands by. check_serves_now is for the beginning of each
// write transaction, but not of one that begin_standby begins.
[[nodiscard]] Status check_serves(const std::filesystem::path& ledger);
[[nodiscard]] Status check_serves_now(const std::filesystem::path& ledger);

// open_standby opens for Access::kAppend whether the mark is there or not, and begin_standby
// begins an update so: for what hands over and takes over, and nobody else.
[[nodiscard]] Result<std::unique_ptr<Ledger>> open_standby(const std::filesystem::path& directory,
                                                           const SecretBytes<32>& data_key);
[[nodiscard]] Result<std::unique_ptr<Update>> begin_standby(Ledger& ledger);

// take_ship_lock locks ship.lock, as take_writer_lock does its own: one process at a time sends to
// a second site.
[[nodiscard]] Result<UniqueFd> take_ship_lock(const std::filesystem::path& ledger);

// adopt_rows makes the rows of the ledger in `to`, which must stand by, those of the ledger in
// `from`, sealed as they are, in one transaction: only what differs is written. Nobody may have
// `to` open for reading in this process. kRefused when it does not stand by.
[[nodiscard]] Status adopt_rows(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace fugo::keystore
