#include "daemon/second_site/compare.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/file.h"
#include "base/text.h"
#include "daemon/journal/journal_check.h"

namespace fugo::daemon {
namespace {

constexpr std::size_t kMostNoteBytes = 64U << 10U;
constexpr std::size_t kMostSince = 1000;

// Acts that leave people, issuances, agencies, keys and jobs as they are.
constexpr std::array<std::string_view, 12> kHarmless = {
    "takeover", "restore",     "ship",       "backup",     "backup.start", "link.use",
    "link",     "check.start", "check.done", "issue.look", "change.look",  "delete.look"};

bool is_harmless(const std::string& act) {
  return std::find(kHarmless.begin(), kHarmless.end(), act) != kHarmless.end();
}

std::string extension(const Checkpoint& checkpoint, std::string_view name) {
  for (const auto& line : checkpoint.extensions)
    if (line.starts_with(std::string(name) + " ")) return line.substr(name.size() + 1);
  return {};
}

SiteFigures figures_of(const Checkpoint& checkpoint) {
  return {checkpoint.size, hex(checkpoint.root), extension(checkpoint, "digest"),
          extension(checkpoint, "digest-without-times"), extension(checkpoint, "time")};
}

nlohmann::ordered_json document_of(const SiteFigures& site) {
  return {{"time", site.time},
          {"journal_entries", site.journal_entries},
          {"journal_root", site.journal_root},
          {"digest", site.digest},
          {"digest_without_times", site.digest_without_times}};
}

}  // namespace

Result<Comparison> compare_sites(const keystore::Ledger& ledger,
                                 const std::filesystem::path& configuration,
                                 const std::filesystem::path& file) {
  FUGO_ASSIGN(const auto note, read_small(file, kMostNoteBytes));
  FUGO_ASSIGN(const auto keys, ledger.key_rows());
  FUGO_ASSIGN(auto there, open_checkpoint(note, origin_of(ledger.header()), keys, file.string()));
  FUGO_ASSIGN(const auto here, checkpoint_now(ledger, configuration));
  const bool behind = here.size < there.size;
  if (!behind) {
    // From here on it is this reading of the file alone that counts.
    FUGO_ASSIGN(there, compare_checkpoint(ledger, file));
  }
  Comparison comparison;
  comparison.here = figures_of(here);
  comparison.there = figures_of(there);
  comparison.same_content =
      !comparison.there.digest.empty() && comparison.here.digest == comparison.there.digest &&
      comparison.here.digest_without_times == comparison.there.digest_without_times;
  if (behind) return comparison;
  comparison.same_journal = true;
  comparison.harmless = true;
  FUGO_TRY(for_each_entry(ledger, there.size, [&](const auto& entry) -> Status {
    comparison.harmless = comparison.harmless && is_harmless(entry.act);
    if (comparison.since.size() < kMostSince) comparison.since.push_back(entry.act);
    return {};
  }));
  return comparison;
}

nlohmann::ordered_json document_of(const Comparison& comparison) {
  return {{"equal", comparison.equal()},
          {"same_journal", comparison.same_journal},
          {"same_content", comparison.same_content},
          {"here", document_of(comparison.here)},
          {"there", document_of(comparison.there)},
          {"since", comparison.since}};
}

}  // namespace fugo::daemon
