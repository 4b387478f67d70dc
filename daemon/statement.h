// Signed statements: what was done, for whoever must be shown it, checkable without fugo.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/result.h"
#include "daemon/journal/signature.h"

namespace fugo::daemon {

// write_statement writes durably `path` (the document, indented, with a line feed at its end),
// PATH.sig (ECDSA over its SHA-256, DER) and PATH.pem (the journal key's public key), mode 0600,
// the document last: when it is there, all of it is. `journal_key` is a row of purpose kJournal
// that the token has and that is active. Anybody checks it with
//   openssl dgst -sha256 -verify PATH.pem -signature PATH.sig PATH
// What is there already is replaced: a statement is written again after a crash.
[[nodiscard]] Status write_statement(hsm::Token& token, const keystore::KeyRow& journal_key,
                                     const nlohmann::ordered_json& document,
                                     const std::filesystem::path& path);

// read_statement reads a document that write_statement wrote; kDamaged unless PATH.sig is the
// signature of it by one of the journal keys among `rows`, whatever became of that key since, and
// PATH.pem is that key.
[[nodiscard]] Result<std::string> read_statement(const std::vector<keystore::KeyRow>& rows,
                                                 const std::filesystem::path& path,
                                                 std::size_t limit_in_bytes);

}  // namespace fugo::daemon
