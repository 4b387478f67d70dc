#include "daemon/request_quota.h"

#include <algorithm>

#include "base/calendar.h"

namespace fugo::daemon {

namespace {

// left_of is the smaller of both quotas, less what was used of the newest day's.
Result<RowAllowance> left_of(const RequestQuota& quota, const keystore::LedgerState& state,
                             std::int64_t now, std::uint64_t used_of_newest) {
  RowAllowance allowed;
  FUGO_ASSIGN(const auto calendar, Calendar::of(quota.time_zone));
  allowed.day = static_cast<std::uint32_t>(calendar.day(now));
  if (quota.rows_per_request != 0) allowed.rows = quota.rows_per_request;
  if (quota.rows_per_day == 0) return allowed;
  // A clock a little behind must not give a day's quota twice.
  const std::uint64_t used = state.quota_day >= allowed.day ? used_of_newest : 0;
  allowed.rows = std::min(allowed.rows, quota.rows_per_day - std::min(used, quota.rows_per_day));
  return allowed;
}

}  // namespace

Result<RowAllowance> row_allowance(const RequestQuota& quota, const keystore::LedgerState& state,
                                   std::int64_t now) {
  return left_of(quota, state, now, state.quota_rows);
}

Result<RowAllowance> check_allowance(const RequestQuota& quota, const keystore::LedgerState& state,
                                     std::int64_t now) {
  return left_of(quota, state, now, std::max(state.quota_rows, state.quota_checked));
}

void forget_day(keystore::LedgerState& state, std::uint32_t day) {
  state.quota_day = day;
  state.quota_rows = 0;
  state.quota_checked = 0;
}

void take_rows(keystore::LedgerState& state, std::uint32_t day, std::uint64_t rows) {
  if (state.quota_day < day) forget_day(state, day);
  state.quota_rows += rows;
}

void take_checked(keystore::LedgerState& state, std::uint32_t day, std::uint64_t rows) {
  if (state.quota_day < day) forget_day(state, day);
  state.quota_checked += rows;
}

}  // namespace fugo::daemon
