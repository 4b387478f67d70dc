// Verifying a whole site: LMDB's pages, tables, bulk files, and the keys in every token.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "base/secret.h"
#include "daemon/config.h"

namespace fugo::daemon {

// VerifyOutcome is what was found, and how much was looked at.
struct VerifyOutcome {
  std::vector<Error> findings;  // none: all is well
  // Whether each part was looked at; damage in an early part keeps the later ones from it.
  bool pages = false, tables = false, content = false;
  std::vector<const char*> tokens;  // names of the roles whose keys were checked
  std::uint64_t people = 0, issuances = 0, agencies = 0, journal_entries = 0, files = 0;
};

// VerifyStage is told what is being done: "pages", "tables", "content", "keys"; bytes done and in
// all where they are known.
using VerifyStage = std::function<void(const char* stage, std::uint64_t, std::uint64_t)>;

// verify_site checks, in this order, each only when what it builds upon is sound: LMDB's pages by
// fugo's own walker; the database through LMDB in a child process; every table; every byte of the
// bulk files and every cross-reference; the keys' attributes and fingerprints in each configured
// token. No token may be open: the child must be forked before. Holds the writer's lock,
// unless the caller does, who passes it. Errors
// other than findings: kRefused (a writer is at work), kIo, kHsm (when nothing else was found).
[[nodiscard]] Result<VerifyOutcome> verify_site(const Settings& settings, const VerifyStage& stage,
                                                const UniqueFd* lock = nullptr);

// verify_ledger is verify_site without tokens: pages, database, tables and content, with a data key
// that the caller has. Takes no lock: nobody may write meanwhile.
[[nodiscard]] Result<VerifyOutcome> verify_ledger(const Settings& settings,
                                                  const SecretBytes<32>& data_key,
                                                  const VerifyStage& stage);

}  // namespace fugo::daemon
