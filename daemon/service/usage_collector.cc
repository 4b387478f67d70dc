#include "daemon/service/usage_collector.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "daemon/files/row.h"
#include "daemon/jobs/block_meter.h"
#include "daemon/seeing/log.h"

namespace fugo::daemon {
namespace {

using nlohmann::ordered_json;

constexpr const char* kAct = "link.use";
constexpr const char* kRefused = ".refused-";
constexpr std::size_t kMostDetailBytes = 60'000;  // of one entry of the journal, which takes 65,536
constexpr std::size_t kMostFilesAtOnce = 1000;
constexpr std::uint64_t kEntriesAtOnce = 10'000;
constexpr std::int64_t kSecondsOfADay = 86'400;

// The journal never has a resident code, whatever somebody called a program or an order.
std::string shown(const std::string& text) { return hide_resident_codes(text); }

// What a process that was killed left half written is nobody's after a day.
void remove_if_old(const std::filesystem::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
      info.st_mtime < unix_now() - kSecondsOfADay)
    ::unlink(path.c_str());
}

// Entry is one entry of the journal in the making.
struct Entry {
  ordered_json files = ordered_json::array();
  std::map<std::string, engine::LinkUse> agencies;
  keystore::BlockCounts blocks;

  [[nodiscard]] std::string details() const {
    ordered_json text = {{"files", files}, {"agencies", ordered_json::object()}};
    for (const auto& [code, counts] : agencies)
      text["agencies"][code] = {{"asked", counts.asked}, {"ok", counts.ok}};
    for (const auto& [code, counts] : agencies)
      if (counts.in_vain > 0) text["in_vain"][code] = counts.in_vain;
    if (!blocks.empty()) text["blocks"] = blocks_document(keystore::key_blocks(blocks));
    return text.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  }
};

}  // namespace

Status UsageCollector::collect(keystore::Ledger& ledger) {
  FUGO_ASSIGN(const auto found, names());
  if (found.empty()) return {};
  FUGO_ASSIGN(const auto known, known_to(ledger));
  std::vector<UseFile> files;
  for (const auto& name : found) {
    auto file = read(name, known);
    if (file)
      files.push_back(std::move(*file));
    else if (file.error().code == ErrorCode::kRefused)
      refuse(name, file.error());
    else if (file.error().native != ENOENT)
      return tl::unexpected<Error>(std::move(file).error());
  }
  if (files.empty()) return {};
  if (!looked_back_) FUGO_TRY(look_back(ledger, files));
  std::stable_sort(files.begin(), files.end(),
                   [](const UseFile& a, const UseFile& b) { return a.summary.to < b.summary.to; });
  FUGO_TRY(journal(ledger, files));
  return destroy(files);
}

Result<UsageCollector::Known> UsageCollector::known_to(const keystore::Ledger& ledger) {
  Known known;
  FUGO_ASSIGN(const auto agencies, ledger.agencies());
  for (const auto& agency : agencies) known.codes.insert(agency.code);
  FUGO_ASSIGN(const auto keys, ledger.key_rows());
  for (const auto& key : keys)
    known.keys.insert((static_cast<keystore::KeyNumber>(key.purpose) << 16U) + key.version);
  return known;
}

Result<std::vector<std::string>> UsageCollector::names() const {
  std::vector<std::string> names;
  std::error_code error;
  for (auto at = std::filesystem::directory_iterator(folder_, error);
       !error && at != std::filesystem::directory_iterator() && names.size() < kMostFilesAtOnce;
       at.increment(error)) {
    auto name = at->path().filename().string();
    if (name.rfind(".use-", 0) == 0) remove_if_old(at->path());
    // Those that are stuck do not count, or enough of them would keep all others waiting.
    if (name.front() != '.' && stuck_.count(name) == 0) names.push_back(std::move(name));
  }
  if (error && error.value() != ENOENT)
    return fail_errno("cannot list the folder", folder_.string(), error.value());
  std::sort(names.begin(), names.end());
  return names;
}

Result<UsageCollector::UseFile> UsageCollector::read(const std::string& name,
                                                     const Known& known) const {
  const auto path = folder_ / name;
  if (!is_use_name(name))
    return fail(ErrorCode::kRefused, "is not the name of a summary of uses", name);
  // Not blocked by a pipe, and not led elsewhere by a link.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd && (errno == ELOOP || errno == EACCES || errno == ENXIO))
    return fail(ErrorCode::kRefused, "is a link, or cannot be read", name);
  if (!fd) return fail_errno("cannot open", path.string(), errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail_errno("cannot read", path.string(), errno);
  if (!S_ISREG(info.st_mode) || info.st_size > static_cast<off_t>(kMostUseFileBytes))
    return fail(ErrorCode::kRefused, "is no regular file, or too long", name);
  std::string text(kMostUseFileBytes, '\0');
  const ssize_t got = ::pread(fd.get(), text.data(), text.size(), 0);
  if (got < 0) return fail_errno("cannot read", path.string(), errno);
  text.resize(static_cast<std::size_t>(got));
  UseFile file{name, info.st_mtime, info.st_uid, {}};
  FUGO_ASSIGN(file.summary, decode_summary(text));
  for (const auto& use : file.summary.uses)
    if (known.codes.count(use.agency) == 0)
      return fail(ErrorCode::kRefused, "names an agency that is not registered", name);
  for (const auto& [key, count] : file.summary.blocks)
    if (known.keys.count(key) == 0)
      return fail(ErrorCode::kRefused, "names a key that is not registered", name);
  return file;
}

// Only an earlier process can have journaled files that are still here, and not before they were
// written; a day more, since a clock may be set.
Status UsageCollector::look_back(keystore::Ledger& ledger, const std::vector<UseFile>& files) {
  std::set<std::string> sought;
  std::int64_t oldest = files.front().changed;
  for (const auto& file : files) {
    sought.insert(file.name);
    oldest = std::min(oldest, file.changed);
  }
  FUGO_ASSIGN(const auto state, ledger.state());
  auto end = state.journal_entries;
  while (end > 0) {
    const auto first = end - std::min(end, kEntriesAtOnce);
    FUGO_ASSIGN(const auto entries, ledger.journal(first, end - first));
    for (const auto& entry : entries) {
      if (entry.act != kAct) continue;
      const auto details = ordered_json::parse(entry.details, nullptr, false);
      if (!details.is_object() || !details.contains("files")) continue;
      for (const auto& file : details["files"])
        if (const auto name = file.value("name", std::string()); sought.count(name) != 0)
          journaled_.insert(name);
    }
    if (!entries.empty() && entries.front().time < oldest - kSecondsOfADay) break;
    end = first;
  }
  looked_back_ = true;
  return {};
}

Status UsageCollector::journal(keystore::Ledger& ledger, const std::vector<UseFile>& files) {
  Entry entry;
  std::vector<std::string> names;
  const auto flush = [&]() -> Status {
    if (names.empty()) return {};
    FUGO_TRY(commit(ledger, entry.details(), keystore::key_blocks(entry.blocks)));
    journaled_.insert(names.begin(), names.end());
    entry = Entry();
    names.clear();
    return {};
  };
  // An entry is of one day, so that uses count for the day on which they were left.
  std::string day;
  for (const auto& file : files) {
    if (journaled_.count(file.name) != 0) continue;
    if (const auto left = local_day(file.summary.to); left != day) {
      FUGO_TRY(flush());
      day = left;
    }
    Entry longer = entry;
    ordered_json head = {{"name", file.name},
                         {"account", file.account},
                         {"program", shown(file.summary.program)},
                         {"process", file.summary.process},
                         {"from", format_time(file.summary.from)},
                         {"to", format_time(file.summary.to)}};
    if (!file.summary.operator_name.empty()) head["operator"] = shown(file.summary.operator_name);
    if (!file.summary.order.empty()) head["order"] = shown(file.summary.order);
    const auto put = [&](Entry& to) {
      to.files.push_back(head);
      for (const auto& use : file.summary.uses) {
        auto& sum = to.agencies[use.agency];
        sum.asked += use.asked;
        sum.ok += use.ok;
        sum.in_vain += use.in_vain;
      }
      for (const auto& [key, count] : file.summary.blocks) to.blocks[key] += count;
    };
    put(longer);
    if (longer.details().size() > kMostDetailBytes) {
      FUGO_TRY(flush());
      longer = Entry();
      put(longer);
    }
    entry = std::move(longer);
    names.push_back(file.name);
  }
  return flush();
}

Status UsageCollector::commit(keystore::Ledger& ledger, const std::string& details,
                              const keystore::KeyBlocks& blocks) {
  FUGO_ASSIGN(const auto update, ledger.begin());
  keystore::add_growth({}, blocks, update->state().blocks);
  FUGO_TRY(update->append_journal(actor_, kAct, details));
  return update->commit();
}

Status UsageCollector::destroy(const std::vector<UseFile>& files) {
  for (const auto& file : files) {
    const auto path = folder_ / file.name;
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
      return fail_errno("cannot destroy a summary of uses that was journaled", path.string(),
                        errno);
  }
  FUGO_TRY(sync_directory(folder_));
  // A name is made once, so none of them comes again.
  for (const auto& file : files) journaled_.erase(file.name);
  log_info("uses of linking were journaled", {field::files(files.size())});
  return {};
}

void UsageCollector::refuse(const std::string& name, const Error& error) {
  log_warning("a summary of uses is not as it must be and was moved aside",
              {field::file(hide_resident_codes(name)), field::error(error)});
  if (::rename((folder_ / name).c_str(), (folder_ / (kRefused + name)).c_str()) != 0)
    stuck_.insert(name);
}

}  // namespace fugo::daemon
