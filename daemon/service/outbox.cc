#include "daemon/service/outbox.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/file.h"
#include "daemon/agency_file.h"
#include "daemon/files/answer_folder.h"
#include "daemon/files/head.h"
#include "daemon/jobs/merge_job.h"

namespace fugo::daemon {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kRejects = "rejects";
constexpr const char* kAct = "outbox.ack";
constexpr std::uint64_t kEntriesAtOnce = 10'000;

Result<std::vector<WaitingAnswer>> list_folder(const fs::path& folder) {
  std::vector<WaitingAnswer> answers;
  std::error_code error;
  for (auto at = fs::directory_iterator(folder, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    const auto& path = at->path();
    struct stat info {};
    const std::string agency = answer_agency(path.filename().string());
    if (agency.empty() || ::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    answers.push_back({folder.filename().string(), agency, static_cast<std::uint64_t>(info.st_size),
                       info.st_mtim.tv_sec});
  }
  if (error) return fail_errno("cannot list the folder", folder.string(), error.value());
  return answers;
}

// An acknowledgement leaves nothing but its journal entry, so that is where it is looked for.
Result<bool> was_acknowledged(keystore::Ledger& ledger, const std::string& details) {
  FUGO_ASSIGN(const auto state, ledger.state());
  for (std::uint64_t end = state.journal_entries; end > 0;) {
    const std::uint64_t count = std::min(end, kEntriesAtOnce);
    FUGO_ASSIGN(const auto entries, ledger.journal(end - count, count));
    for (const auto& entry : entries)
      if (entry.act == kAct && entry.details == details) return true;
    end -= count;
  }
  return false;
}

// The summary goes with the last answer.
Status remove_if_empty(const fs::path& folder) {
  FUGO_ASSIGN(const auto left, list_folder(folder));
  if (!left.empty()) return {};
  ::unlink((folder / "summary.json").c_str());
  if (::rmdir(folder.c_str()) != 0 && errno != ENOTEMPTY)
    return fail_errno("cannot remove the folder", folder.string(), errno);
  return sync_directory(folder.parent_path());
}

}  // namespace

Result<std::vector<WaitingAnswer>> list_outbox(const fs::path& outbox) {
  std::vector<WaitingAnswer> all;
  std::error_code error;
  for (auto at = fs::directory_iterator(outbox, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    std::error_code ignored;
    if (at->path().filename().native().front() == '.' || !at->is_directory(ignored)) continue;
    FUGO_ASSIGN(const auto answers, list_folder(at->path()));
    all.insert(all.end(), answers.begin(), answers.end());
  }
  if (error) return fail_errno("cannot list the folder", outbox.string(), error.value());
  std::sort(all.begin(), all.end(), [](const WaitingAnswer& a, const WaitingAnswer& b) {
    return std::tie(a.id, a.agency) < std::tie(b.id, b.agency);
  });
  return all;
}

Result<bool> acknowledge(keystore::Ledger& ledger, const fs::path& outbox, const std::string& id,
                         const std::string& agency, const keystore::Actor& actor) {
  if (!is_request_id(id) && !merger_of(id))
    return fail(ErrorCode::kUsage, "is not the id of a request", "ID");
  if (agency != kRejects && !valid_agency_code(agency))
    return fail(ErrorCode::kUsage, "is neither the code of an agency nor \"rejects\"", "AGENCY");
  const fs::path folder = outbox / id, file = find_answer(folder, agency);
  const std::string details = Json{{"request", id}, {"agency", agency}}.dump();
  struct stat info {};
  if (::lstat(file.c_str(), &info) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) return fail_errno("cannot read", file.string(), errno);
    FUGO_ASSIGN(const bool before, was_acknowledged(ledger, details));
    if (!before)
      return fail(ErrorCode::kRefused, "there is no such answer in the outbox", file.string(),
                  "fugo outbox list shows what waits");
    std::error_code ignored;
    if (fs::is_directory(folder, ignored)) FUGO_TRY(remove_if_empty(folder));
    return false;
  }
  FUGO_ASSIGN(const auto update, ledger.begin());
  FUGO_TRY(update->append_journal(actor, kAct, details));
  FUGO_TRY(update->commit());
  if (::unlink(file.c_str()) != 0)
    return fail_errno("cannot destroy the answer", file.string(), errno);
  FUGO_TRY(sync_directory(folder));
  FUGO_TRY(remove_if_empty(folder));
  return true;
}

}  // namespace fugo::daemon
