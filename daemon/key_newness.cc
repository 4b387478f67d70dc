#include "daemon/key_newness.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "daemon/key_registry.h"
#include "daemon/site_access.h"
#include "engine/regenerate/run_plan.h"

namespace fugo::daemon {
namespace {

using hsm::KeyName;
using hsm::KeyPurpose;
using keystore::KeyState;

// The acts that put a ledger back, and those with which keys begin to be made.
constexpr std::array<std::string_view, 2> kPutBack = {"restore", "takeover"};
constexpr std::array<std::string_view, 2> kBegun = {"keys.create.start", "regenerate.planning"};

template <std::size_t N>
bool is_one_of(const std::array<std::string_view, N>& acts, const std::string& act) {
  return std::find(acts.begin(), acts.end(), act) != acts.end();
}

// put_back_since_begun tells whether the ledger was put back after keys began to be made last.
Result<bool> put_back_since_begun(const keystore::Ledger& ledger, std::uint64_t entries) {
  constexpr std::uint64_t kPiece = 4096;
  for (std::uint64_t end = entries; end > 0;) {
    const std::uint64_t first = end > kPiece ? end - kPiece : 0;
    FUGO_ASSIGN(const auto piece, ledger.journal(first, end - first));
    for (auto entry = piece.rbegin(); entry != piece.rend(); ++entry) {
      if (is_one_of(kPutBack, entry->act)) return true;
      if (is_one_of(kBegun, entry->act)) return false;
    }
    end = first;
  }
  return false;
}

// The keys of ceremonies that came to no end.
std::vector<KeyName> unfinished_keys(const KeyRegistry& registry) {
  std::vector<KeyName> names;
  for (const auto& row : registry.keys)
    if (row.state == KeyState::kMaking) names.push_back(name_of(row));
  for (const auto& run : registry.runs) {
    if (run.state != keystore::RunState::kPlanning) continue;
    for (const auto& name : engine::keys_of(run))
      if (std::none_of(registry.keys.begin(), registry.keys.end(),
                       [&](const auto& row) { return name_of(row) == name; }))
        names.push_back(name);
  }
  return names;
}

// The keys that may be nowhere yet.
Result<std::vector<KeyName>> new_keys(const Settings& settings) {
  FUGO_ASSIGN(const auto site,
              open_ledger(settings, hsm::TokenRole::kIssuing, keystore::Access::kRead));
  FUGO_ASSIGN(const auto registry, read_key_registry(*site.ledger));
  FUGO_ASSIGN(auto names,
              next_keys(registry, {KeyPurpose::kLinkage, KeyPurpose::kAgency, KeyPurpose::kRecord,
                                   KeyPurpose::kDataWrap, KeyPurpose::kJournal}));
  const auto unfinished = unfinished_keys(registry);
  if (unfinished.empty()) return names;
  FUGO_ASSIGN(const bool put_back,
              put_back_since_begun(*site.ledger, registry.state.journal_entries));
  if (put_back) names.insert(names.end(), unfinished.begin(), unfinished.end());
  return names;
}

}  // namespace

Status check_next_are_new(const Settings& settings, const KeyAdministration& administration) {
  FUGO_ASSIGN(const auto names, new_keys(settings));
  return administration.check_unknown(names);
}

}  // namespace fugo::daemon
