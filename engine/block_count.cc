#include "engine/block_count.h"

namespace fugo::engine {

keystore::BlockCounts evaluated_blocks(const hsm::Token& token) {
  constexpr unsigned kVersionBits = 16;
  keystore::BlockCounts counts;
  for (const auto& use : token.evaluated())
    counts[(static_cast<keystore::KeyNumber>(use.key.purpose) << kVersionBits) + use.key.version] +=
        use.count;
  return counts;
}

}  // namespace fugo::engine
