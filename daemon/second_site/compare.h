// Whether two sites hold the same: this one, and the one that a signed checkpoint tells of.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/config.h"
#include "daemon/journal/checkpoint.h"
#include "hsm/token.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

// SiteFigures are a site's at one time.
struct SiteFigures {
  std::uint64_t journal_entries = 0;
  std::string journal_root, digest, digest_without_times, time;
};

// Comparison is what came of it.
struct Comparison {
  SiteFigures here, there;
  // Acts that this site's journal goes on with after the other's last entry.
  std::vector<std::string> since;
  // This journal begins with the other's. Unknown, and false, where it has fewer entries.
  bool same_journal = false;
  bool same_content = false;  // both digests are the same
  bool harmless = false;      // no act since changes what a ledger holds

  [[nodiscard]] bool equal() const { return same_journal && same_content && harmless; }
};

// compare_sites: kDamaged when the checkpoint is not signed by a journal key of this ledger, or its
// journal parts from this one.
[[nodiscard]] Result<Comparison> compare_sites(const keystore::Ledger& ledger,
                                               const std::filesystem::path& configuration,
                                               const std::filesystem::path& checkpoint);

// document_of is what commands and the signed statement say of it.
[[nodiscard]] nlohmann::ordered_json document_of(const Comparison& comparison);

}  // namespace fugo::daemon
