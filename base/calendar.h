// Days of a time zone that need not be the process's.
#pragma once

#include <cctz/time_zone.h>

#include <cstdint>
#include <string>

#include "base/result.h"

namespace fugo {

// Calendar tells the days of one IANA time zone. It neither reads nor sets TZ. Thread-safe; small.
class Calendar {
 public:
  // of: kUsage when the system does not know the zone.
  [[nodiscard]] static Result<Calendar> of(const std::string& time_zone);
  // day gives the local day of a time, in days since 1970-01-01.
  [[nodiscard]] std::int64_t day(std::int64_t unix_seconds) const;

 private:
  cctz::time_zone zone_;
};

}  // namespace fugo
