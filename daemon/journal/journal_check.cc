#include "daemon/journal/journal_check.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "daemon/custodian_key.h"
#include "daemon/jobs/block_meter.h"
#include "daemon/journal/entry_line.h"
#include "keystore/json_depth.h"

namespace fugo::daemon {
namespace {

constexpr std::uint64_t kPage = 1000;
constexpr std::size_t kMostNoteBytes = 64U << 10U;
constexpr std::size_t kMostConfigurationBytes = 1U << 20U;

// EndLookout finds out where a text stops being JSON.
class EndLookout final : public keystore::DepthLimit {
 public:
  EndLookout() : DepthLimit(keystore::kNowhere, keystore::kNowhere) {}
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception&) override {
    stopped_at_ = position;
    return false;
  }
  [[nodiscard]] std::size_t stopped_at() const { return stopped_at_; }

 private:
  std::size_t stopped_at_ = 0;  // counted from 1
};

// is_piece tells whether a last line without its line feed is the beginning of one. A whole one, or
// one that goes wrong before its end, is not: that was done to it.
bool is_piece(const std::string& line) {
  EndLookout lookout;
  return line.starts_with('{') && !nlohmann::json::sax_parse(line, &lookout) &&
         lookout.stopped_at() > line.size();
}

// CopyReader reads the lines of a copy as entries of one chain.
class CopyReader {
 public:
  explicit CopyReader(const std::filesystem::path& file) : file_(file), in_(file) {}

  [[nodiscard]] Status check_open() const {
    std::error_code ignored;
    if (in_.is_open() && std::filesystem::is_regular_file(file_, ignored)) return {};
    return fail(ErrorCode::kIo, "cannot be read", file_.string());
  }

  // next is nothing at the end.
  Result<std::optional<keystore::JournalEntry>> next() {
    std::string line;
    if (!std::getline(in_, line)) return end();
    if (in_.eof() && is_piece(line)) {
      torn_ = true;
      return end();
    }
    const auto where = fmt::format("{}, line {}", file_.string(), ++lines_);
    FUGO_ASSIGN(auto entry, parse_entry_line(line, where));
    if (last_ && (entry.sequence != last_->first + 1 || entry.previous != last_->second))
      return fail(ErrorCode::kDamaged, "does not follow upon the entry before it", where,
                  "an entry was removed, added or moved");
    last_ = {entry.sequence, entry.hash};
    return std::optional(std::move(entry));
  }

  // torn: the copy ends with a piece of a line.
  [[nodiscard]] bool torn() const { return torn_; }

 private:
  // end: a disk that fails is no end, and a copy of nothing was not one.
  [[nodiscard]] Result<std::optional<keystore::JournalEntry>> end() const {
    if (in_.bad()) return fail(ErrorCode::kIo, "cannot be read to its end", file_.string());
    if (lines_ == 0) return fail(ErrorCode::kDamaged, "has no entry", file_.string());
    return std::optional<keystore::JournalEntry>();
  }

  const std::filesystem::path& file_;
  std::ifstream in_;
  std::uint64_t lines_ = 0;
  bool torn_ = false;
  std::optional<std::pair<std::uint64_t, std::array<std::uint8_t, 32>>> last_;
};

// LedgerPages gives single entries of a ledger's journal, reading many at a time.
class LedgerPages {
 public:
  explicit LedgerPages(const keystore::Ledger& ledger) : ledger_(ledger) {}
  Result<const keystore::JournalEntry*> entry(std::uint64_t sequence) {
    if (page_.empty() || sequence < page_.front().sequence || sequence > page_.back().sequence) {
      FUGO_ASSIGN(page_, ledger_.journal(sequence, kPage));
    }
    if (page_.empty() || page_.front().sequence > sequence) return nullptr;
    return &page_.at(sequence - page_.front().sequence);
  }

 private:
  const keystore::Ledger& ledger_;
  std::vector<keystore::JournalEntry> page_;
};

}  // namespace

Status for_each_entry(const keystore::Ledger& ledger, std::uint64_t first,
                      const VisitEntry& visit) {
  std::optional<std::array<std::uint8_t, 32>> last;  // the hash that the next page goes on from
  for (;;) {
    FUGO_ASSIGN(const auto entries, ledger.journal(first, kPage));
    if (entries.empty()) return {};
    if (last && entries.front().previous != *last)
      return fail(
          ErrorCode::kDamaged,
          fmt::format("entry {} does not follow upon the one before", entries.front().sequence),
          "ledger, table journal");
    for (const auto& entry : entries) FUGO_TRY(visit(entry));
    first += entries.size();
    last = entries.back().hash;
  }
}

Result<Checkpoint> checkpoint_now(const keystore::Ledger& ledger,
                                  const std::filesystem::path& configuration) {
  // What comes after this state is left out: the journal only grows.
  FUGO_ASSIGN(const auto state, ledger.state());
  MerkleTree tree;
  std::array<std::uint8_t, 32> head{};
  FUGO_TRY(for_each_entry(ledger, 0, [&](const auto& entry) -> Status {
    if (entry.sequence >= state.journal_entries) return {};
    head = entry.hash;
    return tree.add(entry.hash);
  }));
  if (tree.size() != state.journal_entries || head != state.journal_head)
    return fail(ErrorCode::kDamaged, "the journal is not what the ledger's state says",
                "ledger, table journal");
  Checkpoint checkpoint;
  checkpoint.origin = origin_of(ledger.header());
  checkpoint.size = tree.size();
  FUGO_ASSIGN(checkpoint.root, tree.root());
  FUGO_ASSIGN(const auto digest, ledger.content_digest()->text(state, true));
  FUGO_ASSIGN(const auto timeless, ledger.content_digest()->text(state, false));
  FUGO_ASSIGN(const auto text, read_small(configuration, kMostConfigurationBytes));
  FUGO_ASSIGN(const auto sha256, sha256_hex(text));
  checkpoint.extensions = {"time " + format_time(unix_now()), "digest " + digest,
                           "digest-without-times " + timeless, "configuration " + sha256};
  const auto blocks = blocks_document(state.blocks);
  for (const auto& [key, count] : blocks.items())
    checkpoint.extensions.push_back(fmt::format("blocks {} {}", key, count.get<std::uint64_t>()));
  checkpoint.extensions.push_back(fmt::format("unexplained-blocks {}", state.unexplained_blocks));
  return checkpoint;
}

Result<ComparedCopy> compare_copy(const keystore::Ledger& ledger, const std::filesystem::path& file,
                                  const CopyWishes& wishes) {
  CopyReader copy(file);
  FUGO_TRY(copy.check_open());
  LedgerPages pages(ledger);
  ComparedCopy compared;
  auto& parting = compared.parting;
  while (compared.entries < wishes.most) {
    FUGO_ASSIGN(auto entry, copy.next());
    if (!entry) break;
    ++compared.entries;
    if (!parting) {
      FUGO_ASSIGN(const auto* const mine, pages.entry(entry->sequence));
      if (mine != nullptr && mine->hash == entry->hash) continue;
      parting.emplace();
      parting->at = entry->sequence;
      parting->ledger_ends = mine == nullptr;
    }
    ++parting->count;
    if (wishes.lacking)
      FUGO_TRY(wishes.lacking(*entry));
    else if (parting->missing.size() < kMostMissing)
      parting->missing.push_back(std::move(*entry));
  }
  compared.torn = copy.torn();
  return compared;
}

Result<Checkpoint> compare_checkpoint(const keystore::Ledger& ledger,
                                      const std::filesystem::path& file) {
  const auto where = file.string();
  FUGO_ASSIGN(const auto note, read_small(file, kMostNoteBytes));
  FUGO_ASSIGN(const auto keys, ledger.key_rows());
  FUGO_ASSIGN(auto checkpoint, open_checkpoint(note, origin_of(ledger.header()), keys, where));
  MerkleTree tree;
  FUGO_TRY(for_each_entry(ledger, 0, [&](const auto& entry) -> Status {
    return entry.sequence < checkpoint.size ? tree.add(entry.hash) : Status{};
  }));
  if (tree.size() < checkpoint.size)
    return fail(ErrorCode::kDamaged,
                fmt::format("the ledger's journal has {} entries, and had {} at the checkpoint",
                            tree.size(), checkpoint.size),
                where, "the ledger was rolled back");
  FUGO_ASSIGN(const auto root, tree.root());
  if (root != checkpoint.root)
    return fail(ErrorCode::kDamaged,
                "the ledger's journal does not begin with what was there at the checkpoint", where,
                "entries were changed, or the ledger is another's continuation");
  return checkpoint;
}

Result<ContentCheck> compare_content(const keystore::Ledger& ledger, const Checkpoint& checkpoint,
                                     const std::filesystem::path& file) {
  FUGO_ASSIGN(const auto state, ledger.state());  // entries and sums of one commit
  if (state.journal_entries != checkpoint.size) return ContentCheck::kEntriesSince;
  // Segments of a job change the content and have no entry of their own.
  if (state.open_job != 0) return ContentCheck::kJobIsOpen;
  FUGO_ASSIGN(const auto digest, ledger.content_digest()->text(state, true));
  for (const auto& line : checkpoint.extensions)
    if (line.starts_with("digest ") && line != "digest " + digest)
      return fail(ErrorCode::kDamaged,
                  "the ledger's people and issuances are not those of the checkpoint, and the "
                  "journal tells of no change since",
                  file.string(), "the ledger was written by something else than fugo");
  return ContentCheck::kSame;
}

}  // namespace fugo::daemon
