#include "daemon/files/rejects.h"

#include <cstring>

namespace fugo::daemon {
namespace {

// By number of the reason; the names are the contract's.
constexpr std::array<std::string_view, kRejectReasons> kNames = {
    "",
    "malformed_row",
    "bad_processing_number",
    "bad_resident_code",
    "bad_check_digit",
    "unknown_agency",
    "suspended_agency",
    "duplicate_processing_number",
    "superseded_resident",
    "unknown_resident",
    "resident_exists",
    "bad_reason",
    "quota_exceeded",
};

}  // namespace

std::string_view reject_reason_name(RejectReason reason) {
  return kNames.at(static_cast<std::size_t>(reason));
}

Result<RejectList> RejectList::create(const std::filesystem::path& directory,
                                      std::size_t memory_in_bytes) {
  RejectList list;
  list.entries_ = SortedRuns<Entry>(directory, memory_in_bytes);
  return list;
}

Status RejectList::add(const Reject& reject) {
  if (reject.processing_number.size() > kMaxProcessingNumberLength)
    return fail(ErrorCode::kInternal, "a rejected row's processing number is too long");
  Entry entry;
  entry.line = reject.line;
  entry.reason = reject.reason;
  entry.length = static_cast<std::uint8_t>(reject.processing_number.size());
  std::memcpy(entry.number.data(), reject.processing_number.data(), entry.length);
  FUGO_TRY(entries_.add(entry));
  ++size_;
  ++counts_[static_cast<std::size_t>(reject.reason)];
  return {};
}

Status RejectList::for_each(const std::function<Status(const Reject&)>& visit) {
  return entries_.for_each([&visit](const Entry& entry) {
    return visit({entry.line, entry.reason, {entry.number.data(), entry.length}});
  });
}

}  // namespace fugo::daemon
