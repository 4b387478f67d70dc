// What changes and deletions add to, or take from, the sums of the content digest.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "engine/site.h"
#include "keystore/types.h"

namespace fugo::engine {

// DatedIssuance is one issuance with its time.
struct DatedIssuance {
  keystore::AgencyNumber agency = 0;
  std::uint32_t person = 0;  // position in the linkage symbols
  std::int64_t time = 0;
};

// add_issuance_digests adds the element of each issuance to `plain`, and with its time to `timed`.
[[nodiscard]] Status add_issuance_digests(Site& site, std::span<const DatedIssuance> issuances,
                                          std::span<const Block> linkage_symbols,
                                          keystore::DigestSum& plain, keystore::DigestSum& timed);

}  // namespace fugo::engine
