#include "engine/link/link_status.h"

#include <array>

namespace fugo::engine {

std::string_view link_status_name(LinkStatus status) {
  static constexpr std::array<std::string_view, kLinkStatuses> kNames{"",
                                                                      "ok",
                                                                      "not_issued",
                                                                      "unknown",
                                                                      "superseded",
                                                                      "bad_symbol",
                                                                      "unknown_agency",
                                                                      "frozen",
                                                                      "quota_exceeded",
                                                                      "unavailable",
                                                                      "index_too_large",
                                                                      "forked"};
  const auto number = static_cast<std::size_t>(status);
  return number < kNames.size() ? kNames[number] : kNames[0];
}

}  // namespace fugo::engine
