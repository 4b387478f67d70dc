// Signed checkpoints of the journal: C2SP signed-note and tlog-checkpoint. See
// docs/spec/journal.md.
#pragma once

#include <string>
#include <vector>

#include "daemon/journal/merkle.h"
#include "daemon/journal/signature.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

// Checkpoint is the body of a note: the journal of `size` entries has the Merkle tree hash `root`,
// and extension lines say what else was so ("digest 3f...").
struct Checkpoint {
  std::string origin;
  std::uint64_t size = 0;
  TreeHash root{};
  std::vector<std::string> extensions;

  [[nodiscard]] std::string text() const;  // ends with a line feed
};

// origin_of names a ledger's journal, and the key that signs its notes.
[[nodiscard]] std::string origin_of(const keystore::LedgerHeader& header);

// sign_checkpoint is the whole note, with one signature line: type ECDSA (key id: SHA-256 of the
// SubjectPublicKeyInfo, cut to four bytes).
[[nodiscard]] Result<std::string> sign_checkpoint(hsm::Token& token,
                                                  const keystore::KeyRow& journal_key,
                                                  const Checkpoint& checkpoint);

// open_checkpoint reads a note; kDamaged unless its origin is `origin` and it bears a signature of
// one of the journal keys among `rows`. Signatures of others are left alone (witnesses').
[[nodiscard]] Result<Checkpoint> open_checkpoint(const std::string& note, const std::string& origin,
                                                 const std::vector<keystore::KeyRow>& rows,
                                                 const std::string& where);

}  // namespace fugo::daemon
