// What `fugo verify` finds out about the tables in LMDB.
#pragma once

#include <chrono>
#include <filesystem>
#include <vector>

#include "base/result.h"
#include "keystore/ledger.h"

namespace fugo::keystore {

// verify_tables reads every row of every table in one transaction and checks that it opens, decodes
// and belongs to its key; then counts and digest of rows, journal, manifest against the files'
// lengths, jobs, segments, registries and statistics against each other and against the state.
// Each finding is an Error (kDamaged) with its place; none: all is well. An error of the call
// itself is kIo. Contents of bulk files are not read.
[[nodiscard]] Result<std::vector<Error>> verify_tables(const Ledger& ledger);

// walk_in_child reads every byte of the database through LMDB in a forked child, so that a page
// that makes LMDB crash or loop ends the child and not the caller. Call it before the ledger is
// opened and before PKCS#11 is initialised. kDamaged when the child was ended by a signal, took
// longer than `limit`, or LMDB answered an error; kIo when there can be no child.
[[nodiscard]] Status walk_in_child(const std::filesystem::path& directory,
                                   std::chrono::seconds limit);

}  // namespace fugo::keystore
