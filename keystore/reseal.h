// Sealing every row anew under another data key. Private to keystore.
#pragma once

#include <span>

#include "base/result.h"
#include "keystore/tables.h"

namespace fugo::keystore {

// reseal_rows seals every row but header and state anew: opened by `from`, sealed by `to`, under
// keys made anew where they are keyed hashes. The manifest's rows are replaced by `files`: what
// stood there is not taken over. Counts and digest of rows in `state` are made anew. Memory does
// not grow with the journal or the patches.
[[nodiscard]] Status reseal_rows(WriteTransaction& transaction, const Sealer& from,
                                 const Sealer& to, std::span<const FileRow> files,
                                 LedgerState& state);

}  // namespace fugo::keystore
