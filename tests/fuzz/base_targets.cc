// Text codecs.
#include <algorithm>

#include "base/text.h"
#include "tests/fuzz/target.h"

using namespace fugo;
using fugo::fuzz::must;
using fugo::fuzz::reached;
using fugo::fuzz::text_of;

FUGO_FUZZ(symbol_text) {
  const auto text = text_of(input);
  if (const auto symbol = decode_symbol(text)) {
    reached();
    must(encode_symbol(*symbol) == text, "a symbol has one text form");
  }
  if (input.size() < sizeof(Block)) return;
  Block block;
  std::copy_n(input.begin(), block.bytes.size(), block.bytes.begin());
  const auto back = decode_symbol(encode_symbol(block));
  must(back && *back == block, "what was encoded is decoded");
}

FUGO_FUZZ(hex_digits) {
  const auto bytes = unhex(text_of(input));
  if (!bytes) return;
  reached();
  must(unhex(hex(as_bytes(*bytes))) == bytes, "hexadecimal there and back");
}
