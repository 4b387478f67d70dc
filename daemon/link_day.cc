#include "daemon/link_day.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "daemon/link_usage.h"
#include "daemon/time_text.h"

namespace fugo::daemon {
namespace {

using nlohmann::json;

constexpr std::uint64_t kPiece = 1000;  // entries that are read at once
constexpr std::int64_t kClocksDiffer = 60;

std::uint64_t number(const json& object, const std::string& key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

void add(UsesByAgency& to, const engine::LinkUse& use) {
  auto& sum = to[use.agency];
  sum.agency = use.agency;
  sum.asked += use.asked;
  sum.ok += use.ok;
  sum.in_vain += use.in_vain;
}

void add_file(const json& details, UsesByAgency& uses) {
  const std::string from = details.value("from", "");
  if (!from.empty())
    add(uses,
        {from, number(details, "symbols"), number(details, "ok"), number(details, "bad_symbol")});
}

void add_summaries(const json& details, UsesByAgency& uses, std::set<std::string>* files) {
  const auto& in_vain = details.contains("in_vain") ? details["in_vain"] : json::object();
  if (const auto agencies = details.find("agencies"); agencies != details.end())
    for (const auto& [code, counts] : agencies->items())
      add(uses, {code, number(counts, "asked"), number(counts, "ok"), number(in_vain, code)});
  const auto names = details.find("files");
  if (files == nullptr || names == details.end()) return;
  for (const auto& file : *names) files->insert(file.value("name", ""));
}

// left_at is when the uses of an entry were left: those of files that the daemon takes late, before
// its own time.
std::int64_t left_at(const keystore::JournalEntry& entry) {
  if (entry.act != "link.use") return entry.time;
  const auto details = json::parse(entry.details, nullptr, /*allow_exceptions=*/false);
  if (!details.is_object() || !details.contains("files")) return entry.time;
  std::int64_t last = 0;
  for (const auto& file : details["files"])
    last = std::max(last, parse_time(file.value("to", "")).value_or(entry.time));
  if (last > entry.time + kClocksDiffer) return 0;  // a file from the future is nobody's
  return last == 0 ? entry.time : std::min(last, entry.time);
}

}  // namespace

void add_journaled(const keystore::JournalEntry& entry, UsesByAgency& uses,
                   std::set<std::string>* files) {
  if (entry.act != "link" && entry.act != "link.use") return;
  const auto details = json::parse(entry.details, nullptr, /*allow_exceptions=*/false);
  if (!details.is_object()) return;
  if (entry.act == "link")
    add_file(details, uses);
  else
    add_summaries(details, uses, files);
}

// The folder first: what the daemon journals meanwhile is in the journal then, by its name.
Status LinkDay::read(const keystore::Ledger& ledger) {
  const std::int64_t today = calendar_.day(unix_now());
  if (today != day_) waiting_.clear();
  read_folder(today);
  FUGO_ASSIGN(const auto state, ledger.state());
  if (today != day_ || state.journal_entries < next_) {
    journaled_.clear();
    taken_.clear();
    next_ = 0;
  }
  FUGO_TRY(read_back(ledger, state.journal_entries, today));
  day_ = today;
  next_ = state.journal_entries;
  return {};
}

Status LinkDay::read_back(const keystore::Ledger& ledger, std::uint64_t end, std::int64_t today) {
  auto uses = journaled_, of_before = UsesByAgency();  // a reading that fails leaves no half
  auto taken = taken_;
  while (end > next_) {
    const std::uint64_t first = end - std::min(end - next_, kPiece);
    FUGO_ASSIGN(const auto entries, ledger.journal(first, end - first));
    for (const auto& entry : entries)
      if (calendar_.day(entry.time) >= today)
        add_journaled(entry, calendar_.day(left_at(entry)) >= today ? uses : of_before, &taken);
    if (!entries.empty() && calendar_.day(entries.front().time) < today) break;
    end = first;
  }
  journaled_ = std::move(uses);
  taken_ = std::move(taken);
  return {};
}

// A file never changes once it has its name; one that cannot be read is the daemon's trouble. Those
// of other days are remembered as nothing, and so is one from the future, which no process leaves.
void LinkDay::read_folder(std::int64_t today) {
  std::map<std::string, std::vector<engine::LinkUse>> there;
  std::error_code error;
  for (auto at = std::filesystem::directory_iterator(folder_, error);
       !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    const auto name = at->path().filename().string();
    if (!is_use_name(name)) continue;
    if (const auto known = waiting_.find(name); known != waiting_.end()) {
      there[name] = known->second;
      continue;
    }
    const auto text = read_small(at->path(), kMostUseFileBytes);
    if (!text) continue;
    const auto summary = decode_summary(*text);
    auto& uses = there[name];
    if (summary && calendar_.day(summary->to) >= today && summary->to <= unix_now() + kClocksDiffer)
      uses = summary->uses;
  }
  waiting_ = std::move(there);
}

void LinkDay::add_waiting(UsesByAgency& uses) const {
  for (const auto& [name, counts] : waiting_)
    if (!taken_.contains(name))
      for (const auto& use : counts) add(uses, use);
}

std::uint64_t LinkDay::used(const std::string& agency) const {
  auto uses = journaled_;
  add_waiting(uses);
  const auto found = uses.find(agency);
  return found == uses.end() ? 0 : found->second.asked - found->second.in_vain;
}

std::vector<engine::LinkUse> LinkDay::uses() const {
  auto uses = journaled_;
  add_waiting(uses);
  std::vector<engine::LinkUse> all;
  for (auto& [code, use] : uses) all.push_back(use);
  return all;
}

}  // namespace fugo::daemon
