// Masks: what a label adds to the input of the core function, computed once for each label.
#pragma once

#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "hsm/cmac_subkey.h"
#include "hsm/token.h"

namespace fugo::engine {

// label_block is a constant label as one block: ASCII, padded with zero bytes. `label` has at
// most 16 characters.
[[nodiscard]] Block label_block(std::string_view label);

using hsm::doubled;

// cmac_masks replaces each label by E_K(label) xor K1, where K1 = dbl(E_K(0^128)) is the subkey of
// SP 800-38B section 6.1: the mask of the core function. One bulk call. With a key that has no
// `blocks`, whose token does all of CMAC itself, they stay as they are. `labels` becomes secret:
// it belongs in a SecretArray. Errors as those of hsm::Token::encrypt, `labels` then unspecified.
[[nodiscard]] Status cmac_masks(hsm::Token& token, const hsm::Key& key, std::span<Block> labels);

}  // namespace fugo::engine
