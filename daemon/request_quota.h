// Quotas of requests: how many rows one request, and all requests of one day, may put to the HSM.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "keystore/types.h"

namespace fugo::daemon {

// RequestQuota is a site's quotas; 0: no limit. A row counts whatever becomes of it, since a code
// that is only looked up is evaluated too.
struct RequestQuota {
  std::uint64_t rows_per_request = 0;
  std::uint64_t rows_per_day = 0;        // of all requests of one day ...
  std::string time_zone = "Asia/Tokyo";  // ... of this zone
};

// RowAllowance is what a request may have when it starts.
struct RowAllowance {
  std::uint32_t day = 0;                    // days since 1970
  std::uint64_t rows = keystore::kNoQuota;  // later rows are rejected
};

// row_allowance gives a new request's: the smaller of both quotas, less what others of the day were
// let have.
[[nodiscard]] Result<RowAllowance> row_allowance(const RequestQuota& quota,
                                                 const keystore::LedgerState& state,
                                                 std::int64_t now);

// check_allowance gives a check's, which applies nothing: what a request would be let have, and the
// day's quota less what other checks of the day were let have. The answer to a check tells whether
// a code is known, so that checks are bounded as requests are; they take nothing of theirs.
[[nodiscard]] Result<RowAllowance> check_allowance(const RequestQuota& quota,
                                                   const keystore::LedgerState& state,
                                                   std::int64_t now);

// take_rows notes in the state that a request of that day was let have so many rows; take_checked
// the same of a check. forget_day makes all of a day's quota free again, for another day.
void take_rows(keystore::LedgerState& state, std::uint32_t day, std::uint64_t rows);
void take_checked(keystore::LedgerState& state, std::uint32_t day, std::uint64_t rows);
void forget_day(keystore::LedgerState& state, std::uint32_t day);

}  // namespace fugo::daemon
