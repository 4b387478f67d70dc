#include "daemon/link_usage.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/file.h"
#include "base/group_share.h"

namespace fugo::daemon {
namespace {

using nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr std::size_t kMostText = 64;
constexpr std::uint64_t kMostCount = 1'000'000'000'000'000;  // sums of thousands still fit
constexpr unsigned kVersionBits = 16;
constexpr std::uint64_t kMostVersion = 0xFFFF, kMostPurpose = 0xFF;
constexpr std::int64_t kLatestTime = 253402300799;  // the end of the year 9999
constexpr const char* kHint =
    "fugo init --linking-group makes it; by hand: install -d -m 3770 -o DAEMON'S-ACCOUNT -g "
    "LINKING-GROUP FOLDER";

bool is_program_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
         c == '_' || c == '-' || c == ' ';
}

bool is_program(std::string_view text) {
  return !text.empty() && text.size() <= kMostText &&
         std::all_of(text.begin(), text.end(), is_program_character);
}

bool is_printable(std::string_view text) {
  return text.size() <= kMostText &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

bool is_code(std::string_view code) {
  return !code.empty() && code.size() <= 16 && std::all_of(code.begin(), code.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
  });
}

bool is_use(const engine::LinkUse& use) {
  return is_code(use.agency) && use.asked <= kMostCount && use.ok <= use.asked &&
         use.in_vain <= use.asked - use.ok;
}

tl::unexpected<Error> malformed(const char* what) {
  return fail(ErrorCode::kRefused, what, "summary of uses");
}

std::string text_of(const ordered_json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// number_of gives -1 for what is no whole number.
std::int64_t number_of(const ordered_json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return -1;
  const auto number = found->get<std::uint64_t>();
  return number <= kMostCount ? static_cast<std::int64_t>(number) : -1;
}

Result<std::vector<engine::LinkUse>> uses_of(const ordered_json& object) {
  if (!object.is_object() || object.empty() || object.size() > kMostAgenciesInFile)
    return malformed("names no agency, or too many");
  std::vector<engine::LinkUse> uses;
  for (const auto& [code, counts] : object.items()) {
    if (!counts.is_object() || counts.size() != 2) return malformed("has no counts for an agency");
    const auto asked = number_of(counts, "asked"), ok = number_of(counts, "ok");
    if (asked < 0 || ok < 0) return malformed("has a count that is no number, or too large a one");
    uses.push_back({code, static_cast<std::uint64_t>(asked), static_cast<std::uint64_t>(ok)});
    if (!is_use(uses.back())) return malformed("has an impossible code or count");
  }
  return uses;
}

// Counts that older programs do not know lie beside `uses`, where they do not look.
Status add_in_vain(const ordered_json& object, std::vector<engine::LinkUse>& uses) {
  const auto found = object.find("in_vain");
  if (found == object.end()) return {};
  if (!found->is_object() || found->size() > uses.size())
    return malformed("has counts in vain of nobody");
  for (auto& use : uses) {
    if (!found->contains(use.agency)) continue;
    const auto count = number_of(*found, use.agency.c_str());
    use.in_vain = static_cast<std::uint64_t>(count);
    if (count < 0 || !is_use(use)) return malformed("has an impossible count in vain");
  }
  return {};
}

// A key is written PURPOSE.VERSION, both by number: "1.2" is the linkage key of version 2.
std::string key_text(keystore::KeyNumber key) {
  return fmt::format("{}.{}", key >> kVersionBits, key & kMostVersion);
}

std::optional<keystore::KeyNumber> key_of(const std::string& text) {
  unsigned purpose = 0, version = 0;
  const auto dot = text.find('.');
  if (dot == std::string::npos) return std::nullopt;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), text.data() + dot, purpose);
  const auto second = std::from_chars(text.data() + dot + 1, end, version);
  if (first.ec != std::errc() || second.ec != std::errc() || purpose > kMostPurpose ||
      version > kMostVersion)
    return std::nullopt;
  const auto key = (static_cast<keystore::KeyNumber>(purpose) << kVersionBits) + version;
  return key_text(key) == text ? std::optional(key) : std::nullopt;
}

Result<keystore::BlockCounts> blocks_of(const ordered_json& object) {
  keystore::BlockCounts blocks;
  const auto found = object.find("blocks");
  if (found == object.end()) return blocks;
  if (!found->is_object() || found->size() > kMostKeysInFile)
    return malformed("has blocks of too many keys");
  for (const auto& [text, value] : found->items()) {
    const auto key = key_of(text);
    const auto count = number_of(*found, text.c_str());
    if (!key || count < 0) return malformed("has blocks of no key, or an impossible number");
    blocks[*key] = static_cast<std::uint64_t>(count);
  }
  return blocks;
}

void add(std::vector<engine::LinkUse>& to, const engine::LinkUse& use) {
  const auto same = std::find_if(to.begin(), to.end(),
                                 [&](const auto& other) { return other.agency == use.agency; });
  if (same == to.end()) {
    to.push_back(use);
    return;
  }
  same->asked = std::min(same->asked + use.asked, kMostCount);
  same->ok = std::min(same->ok + use.ok, same->asked);
  same->in_vain = std::min(same->in_vain + use.in_vain, same->asked - same->ok);
}

Result<std::string> new_name(std::int64_t process) {
  std::array<std::uint8_t, 8> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
    return fail_errno("cannot get random bytes", "getrandom", errno);
  // Letters, so that no name ever has as many digits in a row as a resident code.
  std::string letters;
  for (const auto byte : random)
    for (const int half : {byte >> 4, byte & 15}) letters += static_cast<char>('a' + half);
  return fmt::format("{}{:%Y%m%dT%H%M%SZ}-{}-{}{}", kUsePrefix, fmt::gmtime(std::time(nullptr)),
                     process, letters, kUseSuffix);
}

}  // namespace

// Letter by letter: 'd' stands for a digit, 'r' for a random letter, others for themselves.
bool is_use_name(std::string_view name) {
  const auto fits = [](std::string_view text, std::string_view form) {
    return text.size() == form.size() &&
           std::equal(text.begin(), text.end(), form.begin(), [](char c, char f) {
             if (f == 'd') return c >= '0' && c <= '9';
             return f == 'r' ? c >= 'a' && c <= 'p' : c == f;
           });
  };
  constexpr std::string_view kTime = "ddddddddTddddddZ-", kRandom = "-rrrrrrrrrrrrrrrr";
  constexpr std::size_t kMostDigits = 10;  // of a process's number
  const std::size_t around = kUsePrefix.size() + kTime.size() + kRandom.size() + kUseSuffix.size();
  if (name.size() <= around || name.size() > around + kMostDigits) return false;
  if (name.substr(0, kUsePrefix.size()) != kUsePrefix) return false;
  name.remove_prefix(kUsePrefix.size());
  if (name.substr(name.size() - kUseSuffix.size()) != kUseSuffix) return false;
  name.remove_suffix(kUseSuffix.size());
  const auto process = name.substr(kTime.size(), name.size() - kTime.size() - kRandom.size());
  return fits(name.substr(0, kTime.size()), kTime) &&
         fits(process, std::string(process.size(), 'd')) &&
         fits(name.substr(name.size() - kRandom.size()), kRandom);
}

std::string encode_summary(const UsageSummary& summary) {
  ordered_json text = {{"version", kVersion},
                       {"program", summary.program},
                       {"process", summary.process},
                       {"from", summary.from},
                       {"to", summary.to}};
  if (!summary.operator_name.empty()) text["operator"] = summary.operator_name;
  if (!summary.order.empty()) text["order"] = summary.order;
  auto& uses = text["uses"] = ordered_json::object();
  for (const auto& use : summary.uses) uses[use.agency] = {{"asked", use.asked}, {"ok", use.ok}};
  for (const auto& use : summary.uses)
    if (use.in_vain > 0) text["in_vain"][use.agency] = use.in_vain;
  for (const auto& [key, count] : summary.blocks) text["blocks"][key_text(key)] = count;
  return text.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

Result<UsageSummary> decode_summary(std::string_view text) {
  if (text.size() > kMostUseFileBytes) return malformed("is too long");
  const auto object = ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return malformed("is no JSON object");
  if (number_of(object, "version") != kVersion) return malformed("has another version, or none");
  UsageSummary summary;
  summary.program = text_of(object, "program");
  summary.process = number_of(object, "process");
  summary.from = number_of(object, "from");
  summary.to = number_of(object, "to");
  summary.operator_name = text_of(object, "operator");
  summary.order = text_of(object, "order");
  if (!is_program(summary.program) || summary.process <= 0)
    return malformed("does not say which program and process it comes from");
  if (summary.from < 0 || summary.to < summary.from || summary.to > kLatestTime)
    return malformed("does not say from when to when it counts");
  if (!is_printable(summary.operator_name) || !is_printable(summary.order))
    return malformed("has an impossible operator or order");
  const auto uses = object.find("uses");
  if (uses == object.end()) return malformed("has no counts");
  FUGO_ASSIGN(summary.uses, uses_of(*uses));
  FUGO_TRY(add_in_vain(object, summary.uses));
  FUGO_ASSIGN(summary.blocks, blocks_of(object));
  return summary;
}

Result<std::unique_ptr<UsageSpool>> UsageSpool::open(const std::filesystem::path& folder,
                                                     std::string_view program,
                                                     const std::string& operator_name,
                                                     const std::string& order) {
  std::error_code ignored;
  if (!std::filesystem::exists(folder, ignored)) {
    if (auto made = make_directory(folder); !made) {
      made.error().hint = kHint;
      return tl::unexpected<Error>(std::move(made).error());
    }
  }
  if (::faccessat(AT_FDCWD, folder.c_str(), R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
    auto refused = fail_errno("cannot write uses of linking to", folder.string(), errno);
    refused.value().hint = kHint;
    return refused;
  }
  std::unique_ptr<UsageSpool> spool(new UsageSpool);
  spool->folder_ = folder;
  spool->process_ = ::getpid();
  spool->head_.process = spool->process_;
  spool->head_.program = program.substr(0, kMostText);
  for (char& c : spool->head_.program)
    if (!is_program_character(c)) c = '_';
  if (spool->head_.program.empty()) spool->head_.program = "unknown";
  if (is_printable(operator_name)) spool->head_.operator_name = operator_name;
  if (is_printable(order)) spool->head_.order = order;
  return spool;
}

Status UsageSpool::write(std::span<const engine::LinkUse> uses, std::int64_t from, std::int64_t to,
                         const keystore::BlockCounts& blocks) {
  const std::lock_guard lock(mutex_);
  if (::getpid() != process_)
    return fail(ErrorCode::kRefused, "uses belong to the process that counted them", "link usage",
                "a forked child must open for itself");
  if (kept_.empty()) kept_from_ = from;
  for (const auto& use : uses)
    if (use.asked > 0 && is_use(use)) add(kept_, use);
  for (const auto& [key, count] : blocks)
    if (count > 0) kept_blocks_[key] = std::min(kept_blocks_[key] + count, kMostCount);
  while (!kept_.empty()) {
    UsageSummary summary = head_;
    summary.from = std::clamp<std::int64_t>(std::min(from, kept_from_), 0, kLatestTime);
    summary.to = std::clamp<std::int64_t>(to, summary.from, kLatestTime);
    const auto count = std::min(kept_.size(), kMostAgenciesInFile);
    const auto first = kept_.end() - static_cast<std::ptrdiff_t>(count);
    summary.uses.assign(first, kept_.end());
    summary.blocks = std::exchange(kept_blocks_, {});
    if (auto written = write_file(summary); !written) {
      kept_blocks_ = std::move(summary.blocks);
      return written;
    }
    // It counts from here on: after a sync that failed it must not be written again.
    kept_.erase(first, kept_.end());
    FUGO_TRY(sync_directory(folder_));
  }
  if (!std::all_of(uses.begin(), uses.end(), is_use))
    return fail(ErrorCode::kInternal, "uses that cannot be", "link usage");
  return {};
}

Status UsageSpool::write_file(const UsageSummary& summary) const {
  FUGO_ASSIGN(const auto name, new_name(process_));
  const auto temporary = folder_ / ("." + name + ".tmp");
  FUGO_ASSIGN(const UniqueFd fd,
              open_file(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  // The daemon reads what another account wrote. It need not be in the group, so others may read
  // the file: they do not come through the folder.
  auto written = share_file(fd.get(), temporary, 0644);
  if (written) written = write_all(fd.get(), as_bytes(encode_summary(summary)), temporary);
  if (written) written = sync_file(fd.get(), temporary);
  if (written && ::rename(temporary.c_str(), (folder_ / name).c_str()) != 0)
    written = fail_errno("cannot rename", temporary.string(), errno);
  if (!written) ::unlink(temporary.c_str());
  return written;
}

}  // namespace fugo::daemon
