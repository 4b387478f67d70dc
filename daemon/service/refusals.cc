#include "daemon/service/refusals.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/file.h"
#include "base/text.h"
#include "daemon/command/names.h"
#include "daemon/service/folders.h"

namespace fugo::daemon {
namespace {

namespace fs = std::filesystem;

// Within refused/<id>/, until the refusal is complete.
constexpr const char* kNewReason = ".reason";
constexpr const char* kRequest = ".request";
constexpr const char* kReason = "reason.txt";
constexpr std::size_t kMaxReasonBytes = 64 * 1024;
constexpr std::uint64_t kEntriesBack = 10'000;  // of the journal, in which a refusal is looked for
constexpr const char* kAct = "request.refuse";

// A number that tells one refusal from any other, so that it is journaled once.
Result<std::string> new_mark() {
  std::array<std::uint8_t, 8> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return fail_errno("cannot get random bytes", "getrandom", errno);
  return hex(bytes);
}

std::string line_of(const std::string& text, const std::string& name) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.rfind(name + ": ", 0) == 0) return line.substr(name.size() + 2);
  return {};
}

Status rename_new_reason(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(folder / kNewReason, ignored)) return {};
  return rename_durably(folder / kNewReason, folder / kReason);
}

}  // namespace

Error safe_error(Error error, const fs::path& file) {
  const std::string path = file.string();
  const std::string name = safe_name(file.filename().string());
  for (std::string* text : {&error.what, &error.where, &error.hint})
    for (auto at = text->find(path); at != std::string::npos; at = text->find(path, at))
      text->replace(at, path.size(), name);
  return error;
}

fs::path refusal_folder(const DaemonSection& daemon, const Refusal& refusal) {
  return daemon.refused / (refusal.id.empty() ? safe_name(refusal.name) : refusal.id);
}

std::array<std::uint64_t, kFileKinds> count_refused(const fs::path& refused) {
  std::array<std::uint64_t, kFileKinds> counts{};
  std::error_code error;
  for (auto at = fs::directory_iterator(refused, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    const auto text = read_small(at->path() / kReason, kMaxReasonBytes);
    const std::string word = text ? line_of(*text, "kind") : "";
    std::size_t kind = 0;
    for (std::size_t i = 1; i < kFileKinds; ++i)
      if (word == kind_name(static_cast<keystore::JobKind>(i))) kind = i;
    ++counts[kind];
  }
  return counts;
}

Status Refusals::refuse(keystore::Ledger& ledger, const fs::path& file, const Refusal& refusal) {
  const fs::path folder = refusal_folder(daemon_, refusal);
  FUGO_TRY(make_directory(folder));
  FUGO_ASSIGN(const auto mark, new_mark());
  const std::string text = fmt::format(
      "refused: {}\nrequest: {}\nkind: {}\nfile: {}\nmark: {}\nreason: {}\n",
      format_time(unix_now()), refusal.id, kind_name(refusal.kind.value_or(keystore::JobKind{})),
      safe_name(refusal.name), mark, refusal.reason);
  FUGO_TRY(write_durably(folder / kNewReason, as_bytes(text)));
  // From here on the refusal counts: a later start finishes it.
  FUGO_TRY(rename_durably(file, folder / kRequest));
  FUGO_TRY(finish_one(ledger, folder, /*maybe_journaled=*/false));
  return destroy_file(daemon_, file);  // for the folder in held/ that it may have had
}

Status Refusals::finish(keystore::Ledger& ledger) {
  std::error_code error;
  for (auto at = fs::directory_iterator(daemon_.refused, error);
       !error && at != fs::directory_iterator(); at.increment(error)) {
    std::error_code ignored;
    if (fs::exists(at->path() / kRequest, ignored)) {
      FUGO_TRY(finish_one(ledger, at->path(), /*maybe_journaled=*/true));
    } else if (fs::remove(at->path() / kNewReason, ignored)) {
      ::rmdir(at->path().c_str());  // unless it has an earlier reason
    }
  }
  if (error) return fail_errno("cannot list the folder", daemon_.refused.string(), error.value());
  return {};
}

Status Refusals::finish_one(keystore::Ledger& ledger, const fs::path& folder,
                            bool maybe_journaled) {
  std::error_code ignored;
  const char* reason = fs::exists(folder / kNewReason, ignored) ? kNewReason : kReason;
  FUGO_ASSIGN(const auto text, read_small(folder / reason, kMaxReasonBytes));
  FUGO_TRY(journal(ledger, text, maybe_journaled));
  FUGO_TRY(rename_new_reason(folder));
  return destroy_file(daemon_, folder / kRequest);
}

Status Refusals::journal(keystore::Ledger& ledger, const std::string& text, bool maybe_journaled) {
  const std::string mark = line_of(text, "mark");
  if (maybe_journaled) {
    FUGO_ASSIGN(const auto state, ledger.state());
    const auto first = state.journal_entries - std::min(state.journal_entries, kEntriesBack);
    FUGO_ASSIGN(const auto entries, ledger.journal(first, kEntriesBack));
    for (const auto& entry : entries)
      if (entry.act == kAct && entry.details.find("\"" + mark + "\"") != std::string::npos)
        return {};
  }
  const nlohmann::ordered_json details = {{"request", line_of(text, "request")},
                                          {"file", line_of(text, "file")},
                                          {"reason", line_of(text, "reason")},
                                          {"mark", mark}};
  FUGO_ASSIGN(const auto update, ledger.begin());
  FUGO_TRY(update->append_journal(
      actor_, kAct,
      details.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)));
  return update->commit();
}

}  // namespace fugo::daemon
