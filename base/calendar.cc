#include "base/calendar.h"

#include <cctz/civil_time.h>

#include "base/text.h"

namespace fugo {

Result<Calendar> Calendar::of(const std::string& time_zone) {
  FUGO_TRY(check_time_zone(time_zone));
  Calendar calendar;
  if (!cctz::load_time_zone(time_zone, &calendar.zone_))
    return fail(ErrorCode::kUsage, "the time zone \"" + time_zone + "\" cannot be read",
                "time_zone", "install tzdata again");
  return calendar;
}

std::int64_t Calendar::day(std::int64_t unix_seconds) const {
  const cctz::time_point<cctz::seconds> time{cctz::seconds(unix_seconds)};
  return cctz::civil_day(cctz::convert(time, zone_)) - cctz::civil_day(1970, 1, 1);
}

}  // namespace fugo
