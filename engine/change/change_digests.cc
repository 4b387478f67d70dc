#include "engine/change/change_digests.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "base/parallel.h"
#include "base/secret.h"

namespace fugo::engine {
namespace {

using keystore::AgencyNumber;
using keystore::DigestSum;

constexpr std::size_t kGrain = 16 * 1024;

struct Masks {
  Block plain, timed;
};

// MaskTable makes each mask once. One thread.
class MaskTable {
 public:
  explicit MaskTable(Site& site) : digest_(site.ledger().content_digest()) {
    for (const auto& agency : site.agencies()) codes_[agency.number] = agency.code;
  }
  Result<Masks> get(AgencyNumber agency, std::int64_t time) {
    const auto known = masks_.find({agency, time});
    if (known != masks_.end()) return known->second;
    const auto code = codes_.find(agency);
    if (code == codes_.end())
      return fail(ErrorCode::kInternal, "an issuance names an agency that is not registered");
    Masks masks;
    FUGO_ASSIGN(masks.plain, digest_->agency_mask(code->second));
    FUGO_ASSIGN(masks.timed, digest_->agency_time_mask(code->second, time));
    masks_.emplace(std::pair{agency, time}, masks);
    return masks;
  }

 private:
  const std::shared_ptr<const keystore::ContentDigest> digest_;
  std::map<AgencyNumber, std::string> codes_;
  std::map<std::pair<AgencyNumber, std::int64_t>, Masks> masks_;
};

}  // namespace

Status add_issuance_digests(Site& site, std::span<const DatedIssuance> issuances,
                            std::span<const Block> linkage_symbols, DigestSum& plain,
                            DigestSum& timed) {
  const auto digest = site.ledger().content_digest();
  std::mutex mutex;  // of both sums
  return parallel_ranges(issuances.size(), kGrain, hardware_threads(),
                         [&](std::size_t first, std::size_t last, std::size_t) -> Status {
                           const std::size_t count = last - first;
                           MaskTable table(site);
                           FUGO_ASSIGN(auto bases, SecretArray<Block>::create(count));
                           std::vector<Block> plain_masks(count), timed_masks(count);
                           for (std::size_t i = 0; i < count; ++i) {
                             const DatedIssuance& issuance = issuances[first + i];
                             bases[i] = linkage_symbols[issuance.person];
                             FUGO_ASSIGN(const Masks masks,
                                         table.get(issuance.agency, issuance.time));
                             plain_masks[i] = masks.plain;
                             timed_masks[i] = masks.timed;
                           }
                           FUGO_TRY(digest->person_bases(bases.span(), bases.span()));
                           DigestSum plain_piece, timed_piece;
                           FUGO_TRY(digest->add_issuances(bases.span(), plain_masks, plain_piece));
                           FUGO_TRY(digest->add_issuances(bases.span(), timed_masks, timed_piece));
                           const std::lock_guard lock(mutex);
                           plain.add(plain_piece);
                           timed.add(timed_piece);
                           return {};
                         });
}

}  // namespace fugo::engine
