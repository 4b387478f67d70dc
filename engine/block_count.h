// How many blocks each symbol key evaluated.
#pragma once

#include "hsm/token.h"
#include "keystore/key_blocks.h"

namespace fugo::engine {

// evaluated_blocks is what a token evaluated since it was opened.
[[nodiscard]] keystore::BlockCounts evaluated_blocks(const hsm::Token& token);

}  // namespace fugo::engine
