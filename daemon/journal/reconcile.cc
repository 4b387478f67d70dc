#include "daemon/journal/reconcile.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/file.h"

namespace fugo::daemon {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using Entries = std::map<std::uint64_t, keystore::JournalEntry>;

constexpr std::size_t kMostNoteBytes = 64U << 10U;

constexpr std::array<std::string_view, 4> kKinds = {"issue", "change", "delete", "merge"};

// Acts that leave nothing to be done again.
constexpr std::array<std::string_view, 14> kNothingToDo = {
    "takeover",   "restore",    "ship",        "backup",       "backup.start",
    "link",       "link.use",   "outbox.ack",  "clock.accept", "check.start",
    "check.done", "issue.look", "change.look", "delete.look"};

// files_of lists the files that were named, and those in folders, in order of their names.
Result<std::vector<fs::path>> files_of(const std::vector<fs::path>& given) {
  std::vector<fs::path> files;
  for (const auto& path : given) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      files.push_back(path);
      continue;
    }
    std::vector<fs::path> inside;
    for (const auto& entry : fs::directory_iterator(path, error))
      if (entry.path().extension() == ".jsonl") inside.push_back(entry.path());
    if (error) return fail_errno("cannot read the folder", path.string(), error.value());
    std::sort(inside.begin(), inside.end());
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

// Gathered is what the copies have and the ledger has not: the hashes of all of it, and entries as
// far as they are listed.
struct Gathered {
  std::map<std::uint64_t, TreeHash> hashes;
  Entries entries;
  bool parted = false;
  std::vector<fs::path> torn;
};

Result<Gathered> gather(const keystore::Ledger& ledger, const std::vector<fs::path>& files,
                        std::size_t most_listed) {
  Gathered gathered;
  for (const auto& file : files) {
    CopyWishes wishes;
    wishes.lacking = [&](const keystore::JournalEntry& entry) -> Status {
      const auto [at, is_new] = gathered.hashes.emplace(entry.sequence, entry.hash);
      if (!is_new && at->second != entry.hash)
        return fail(ErrorCode::kDamaged,
                    fmt::format("another copy has another entry {}", entry.sequence), file.string(),
                    "two sites went on: reconcile with one of them at a time");
      if (!is_new) return {};
      gathered.entries.emplace(entry.sequence, entry);
      // What comes first is listed, in whatever order the copies are given.
      if (gathered.entries.size() > most_listed)
        gathered.entries.erase(std::prev(gathered.entries.end()));
      return {};
    };
    FUGO_ASSIGN(const auto copy, compare_copy(ledger, file, wishes));
    if (copy.torn) gathered.torn.push_back(file);
    gathered.parted = gathered.parted || (copy.parting && !copy.parting->ledger_ends);
  }
  return gathered;
}

// check_unbroken: the copies go on from the ledger's own end, without a gap.
Status check_unbroken(const keystore::Ledger& ledger, const Gathered& gathered) {
  if (gathered.hashes.empty()) return {};
  FUGO_ASSIGN(const auto state, ledger.state());
  const auto first = gathered.hashes.begin()->first;
  std::uint64_t next = std::min(first, state.journal_entries);
  for (const auto& [sequence, hash] : gathered.hashes) {
    if (sequence != next)
      return fail(ErrorCode::kRefused,
                  fmt::format("entries {} to {} are in none of the copies", next, sequence - 1),
                  "journal copies", "give the copies that have them too");
    ++next;
  }
  return {};
}

// check_signed compares the journal that ledger and copies make with a signed checkpoint of it.
Result<std::uint64_t> check_signed(const keystore::Ledger& ledger, const Gathered& gathered,
                                   const fs::path& file) {
  FUGO_ASSIGN(const auto note, read_small(file, kMostNoteBytes));
  FUGO_ASSIGN(const auto keys, ledger.key_rows());
  FUGO_ASSIGN(const auto checkpoint,
              open_checkpoint(note, origin_of(ledger.header()), keys, file.string()));
  const auto parting = gathered.hashes.empty() ? checkpoint.size : gathered.hashes.begin()->first;
  MerkleTree tree;
  const auto add = [&](std::uint64_t sequence, const TreeHash& hash) -> Status {
    return sequence < checkpoint.size ? tree.add(hash) : Status{};
  };
  FUGO_TRY(for_each_entry(ledger, 0, [&](const auto& entry) -> Status {
    return entry.sequence < parting ? add(entry.sequence, entry.hash) : Status{};
  }));
  for (const auto& [sequence, hash] : gathered.hashes) FUGO_TRY(add(sequence, hash));
  if (tree.size() < checkpoint.size)
    return fail(
        ErrorCode::kDamaged,
        fmt::format("ledger and copies have {} entries, and there were {} at the checkpoint",
                    tree.size(), checkpoint.size),
        file.string(), "the newest copies are missing: look for them");
  FUGO_ASSIGN(const auto root, tree.root());
  if (root == checkpoint.root) return checkpoint.size;
  return fail(ErrorCode::kDamaged,
              "ledger and copies do not make the journal that the checkpoint was made of",
              file.string(), "a copy was written by somebody else: do nothing that it tells");
}

bool is_job(const std::string& act, std::string& kind, std::string& step) {
  const auto dot = act.find('.');
  if (dot == std::string::npos) return false;
  kind = act.substr(0, dot);
  step = act.substr(dot + 1);
  return std::find(kKinds.begin(), kKinds.end(), kind) != kKinds.end();
}

// number_in and text_in look at the type first: a copy is a file from outside, and its hashes can
// be made by anybody.
std::uint64_t number_in(const Json& details, const char* name) {
  const auto found = details.find(name);
  return found != details.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}
std::string text_in(const Json& details, const char* name) {
  if (!details.is_object()) return {};
  const auto found = details.find(name);
  return found != details.end() && found->is_string() ? found->get<std::string>() : std::string();
}

void count(const Json& details, const std::string& step, LostJob& job) {
  const auto number = [&](const char* name) { return number_in(details, name); };
  if (step == "segment") {
    ++job.segments;
    job.rows += number("rows");
    job.made += number("new");
    job.existing += number("existing");
  }
  if (step == "done" && job.segments == 0) job.rows = number("rows");
  if (step == "commit") job.end = "deleted";
  if (step == "done") job.end = "answered";
  if (step == "cancelled" || step == "held") job.end = step;
}

std::string obstacle_of(const keystore::JournalEntry& entry) {
  if (entry.act.starts_with("agency.add") || entry.act.starts_with("agency.import"))
    return fmt::format(
        "entry {}: agencies were registered; registered again they get another "
        "parameter, and other symbols",
        entry.sequence);
  if (entry.act == "regenerate.commit")
    return fmt::format(
        "entry {}: a regeneration was committed; this ledger makes the symbols of "
        "the version before",
        entry.sequence);
  return {};
}

}  // namespace

Result<Reconciliation> reconcile(const keystore::Ledger& ledger,
                                 const std::vector<fs::path>& copies,
                                 const std::vector<fs::path>& checkpoints,
                                 std::size_t most_listed) {
  FUGO_ASSIGN(const auto files, files_of(copies));
  FUGO_ASSIGN(const auto gathered, gather(ledger, files, most_listed));
  FUGO_TRY(check_unbroken(ledger, gathered));
  Reconciliation found;
  found.entries = gathered.hashes.size();
  found.unlisted = gathered.hashes.size() - gathered.entries.size();
  found.parted = gathered.parted;
  found.torn = gathered.torn;
  for (const auto& file : checkpoints) {
    FUGO_ASSIGN(const auto size, check_signed(ledger, gathered, file));
    found.signed_entries = std::max(found.signed_entries, size);
  }
  std::map<std::string, std::size_t> places;
  for (const auto& [sequence, entry] : gathered.entries) {
    std::string kind, step;
    if (is_job(entry.act, kind, step)) {
      const Json details = Json::parse(entry.details, nullptr, false);
      const auto id = text_in(details, "request");
      const auto [at, is_new] = places.emplace(id, found.jobs.size());
      if (is_new) {
        FUGO_ASSIGN(const auto known, ledger.find_job(id));
        found.jobs.push_back({id, kind, sequence, entry.time, known.has_value()});
      }
      if (details.is_object()) count(details, step, found.jobs[at->second]);
      continue;
    }
    if (auto obstacle = obstacle_of(entry); !obstacle.empty())
      found.obstacles.push_back(std::move(obstacle));
    const bool nothing =
        std::find(kNothingToDo.begin(), kNothingToDo.end(), entry.act) != kNothingToDo.end();
    if (!nothing) found.others.push_back(entry);
  }
  return found;
}

}  // namespace fugo::daemon
