#include "daemon/link_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/file.h"
#include "base/text.h"
#include "daemon/agency_registry.h"
#include "daemon/jobs/block_meter.h"

namespace fugo::daemon {
namespace {

using engine::LinkItem;
using engine::LinkStatus;

constexpr std::size_t kMaxFileBytes = std::size_t{4} << 30U;
constexpr std::size_t kBufferBytes = 1U << 20U;
constexpr std::string_view kHeader = "symbol,status,linked_symbol\n";

// shown tells whether a line that is no symbol may be repeated in the answer: only when it looks
// like one. Anything else, a resident code in the wrong file above all, is left out.
bool shown(std::string_view line) {
  return line.size() == kSymbolTextLength && std::all_of(line.begin(), line.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
         });
}

std::vector<LinkItem> items_of(const std::vector<std::string_view>& lines) {
  std::vector<LinkItem> items(lines.size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (const auto symbol = decode_symbol(lines[i]))
      items[i].symbol = *symbol;
    else
      items[i].status = LinkStatus::kBadSymbol;
  }
  return items;
}

void append_line(std::string& out, std::string_view line, const LinkItem& item) {
  if (item.status != LinkStatus::kBadSymbol || shown(line)) out += line;
  out += ',';
  out += link_status_name(item.status);
  out += ',';
  if (item.status == LinkStatus::kOk) out += encode_symbol(item.linked);
  out += '\n';
}

tl::unexpected<Error> there_already(const std::filesystem::path& path) {
  return fail(ErrorCode::kRefused, "is there already", path.string(),
              "move it away or choose another --out");
}

Status check_frozen(const keystore::LedgerState& state) {
  if (state.freeze_link.empty()) return {};
  return fail(ErrorCode::kRefused, "linking is frozen: " + state.freeze_link, {},
              "fugo thaw link ends it");
}

// Linking can be frozen at any time, from any process.
Status look_at_freeze(engine::Site& site) {
  FUGO_ASSIGN(const auto state, site.ledger().state());
  return check_frozen(state);
}

// AnswerFile is written under a temporary name; publish() gives it its own.
class AnswerFile {
 public:
  static Result<AnswerFile> write(const std::filesystem::path& path,
                                  const std::vector<std::string_view>& lines,
                                  std::span<const LinkItem> items) {
    AnswerFile file;
    file.path_ = path;
    file.temporary_ =
        path.parent_path() / fmt::format(".{}.{}.tmp", path.filename().string(), ::getpid());
    FUGO_ASSIGN(const auto fd,
                open_file(file.temporary_, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
    file.mine_ = true;
    std::string buffer(kHeader);
    for (std::size_t i = 0; i < items.size(); ++i) {
      append_line(buffer, lines[i], items[i]);
      if (buffer.size() < kBufferBytes) continue;
      FUGO_TRY(write_all(fd.get(), as_bytes(buffer), file.temporary_));
      buffer.clear();
    }
    FUGO_TRY(write_all(fd.get(), as_bytes(buffer), file.temporary_));
    FUGO_TRY(sync_file(fd.get(), file.temporary_));
    return file;
  }
  AnswerFile(AnswerFile&& other) noexcept
      : path_(std::move(other.path_)),
        temporary_(std::move(other.temporary_)),
        mine_(std::exchange(other.mine_, false)) {}
  ~AnswerFile() {
    std::error_code ignored;
    if (mine_) std::filesystem::remove(temporary_, ignored);
  }
  // publish never replaces a file: two acts of linking may have been given the same name.
  Status publish() {
    if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) != 0) {
      if (errno == EEXIST) return there_already(path_);
      return fail_errno("cannot rename", temporary_.string(), errno);
    }
    mine_ = false;
    return sync_directory(path_.parent_path());
  }

 private:
  AnswerFile() = default;
  std::filesystem::path path_, temporary_;
  bool mine_ = false;
};

// check_quota looks anew at what everybody used today. Two accounts that leave counts for the
// daemon do not see each other while both are at work.
Status check_quota(engine::Site& site, const LinkRequest& request, std::uint64_t wanted) {
  if (request.quota_per_day == 0) return {};
  FUGO_TRY(request.day->read(site.ledger()));
  const std::uint64_t used = request.day->used(request.from);
  const std::uint64_t left = request.quota_per_day - std::min(request.quota_per_day, used);
  if (wanted <= left) return {};
  return fail(ErrorCode::kRefused,
              fmt::format("holds {} symbols of {}, and {} are left of the {} that may be linked in "
                          "a day",
                          wanted, request.from, left, request.quota_per_day),
              request.symbols.string(), "link fewer, or see [linking] quota_per_day");
}

// begin_within_quota begins the transaction that journals the act; nobody else's act has come in
// between since the quota was looked at.
Result<std::unique_ptr<keystore::Update>> begin_within_quota(engine::Site& site,
                                                             const LinkRequest& request,
                                                             std::uint64_t wanted) {
  constexpr int kAttempts = 100;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    FUGO_TRY(check_quota(site, request, wanted));
    FUGO_ASSIGN(auto update, site.ledger().begin());
    if (request.quota_per_day == 0 || update->state().journal_entries == request.day->entries())
      return update;
  }
  return fail(ErrorCode::kRefused, "the ledger keeps being changed by others", {}, "try it again");
}

Status journal(engine::Site& site, const LinkRequest& request, const LinkReport& report,
               const keystore::KeyBlocks& blocks) {
  nlohmann::ordered_json details = {
      {"from", request.from}, {"to", request.to}, {"symbols", report.symbols}};
  for (std::size_t status = 1; status < report.by_status.size(); ++status)
    details[std::string(link_status_name(static_cast<LinkStatus>(status)))] =
        report.by_status[status];
  details["blocks"] = blocks_document(blocks);
  FUGO_ASSIGN(const auto update, begin_within_quota(site, request, report.answered()));
  FUGO_TRY(check_frozen(update->state()));
  keystore::add_growth({}, blocks, update->state().blocks);
  FUGO_TRY(update->append_journal(request.actor, "link", details.dump()));
  return update->commit();
}

// count leaves the act for the daemon to journal.
Status count(engine::Site& site, const LinkRequest& request, const LinkReport& report,
             std::int64_t from, const keystore::KeyBlocks& blocks) {
  FUGO_TRY(look_at_freeze(site));
  FUGO_TRY(check_quota(site, request, report.answered()));
  const engine::LinkUse use{request.from, report.symbols,
                            report.by_status[static_cast<std::size_t>(LinkStatus::kOk)],
                            report.symbols - report.answered()};
  return request.spool->write({&use, 1}, from, unix_now(), keystore::block_counts(blocks));
}

Status check_agencies(const engine::Site& site, const LinkRequest& request) {
  for (const auto& code : {request.from, request.to})
    if (site.find_agency(code) == nullptr) return no_such_agency(code, "--from, --to");
  return {};
}

}  // namespace

std::vector<std::string_view> symbol_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  lines.reserve(text.size() / (kSymbolTextLength + 1) + 1);
  while (!text.empty()) {
    const auto end = text.find('\n');
    auto line = text.substr(0, end);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

Result<LinkReport> link_file(engine::Site& site, const LinkRequest& request) {
  const auto began = unix_now();
  FUGO_TRY(look_at_freeze(site));
  FUGO_TRY(check_agencies(site, request));
  std::error_code ignored;
  if (std::filesystem::exists(std::filesystem::symlink_status(request.output, ignored)))
    return there_already(request.output);
  // Read, not mapped: the file is the caller's, and may be cut short while it is used.
  FUGO_ASSIGN(const auto text, read_small(request.symbols, kMaxFileBytes));
  const auto lines = symbol_lines(text);
  if (request.most_rows != 0 && lines.size() > request.most_rows)
    return fail(
        ErrorCode::kRefused,
        fmt::format("holds {} symbols, and one file may have {}", lines.size(), request.most_rows),
        request.symbols.string(), "link fewer at once, or see [linking] rows_per_file");
  const BlockMeter meter(site.token());
  auto items = items_of(lines);
  FUGO_TRY(check_quota(site, request,
                       static_cast<std::uint64_t>(
                           std::count_if(items.begin(), items.end(), [](const LinkItem& item) {
                             return item.status != LinkStatus::kBadSymbol;
                           }))));
  FUGO_TRY(engine::link_symbols(site, request.from, request.to, items,
                                [&site] { return look_at_freeze(site); }));
  LinkReport report;
  report.symbols = items.size();
  for (const auto& item : items) ++report.by_status[static_cast<std::size_t>(item.status)];
  FUGO_ASSIGN(auto answer, AnswerFile::write(request.output, lines, items));
  FUGO_TRY(request.spool == nullptr ? journal(site, request, report, meter.blocks())
                                    : count(site, request, report, began, meter.blocks()));
  FUGO_TRY(answer.publish());
  return report;
}

}  // namespace fugo::daemon
