// The outermost shape of a CMS message, seen before it is parsed.
#pragma once

#include <cstddef>
#include <optional>

#include "base/bytes.h"

namespace fugo::daemon {

// MessageShape is what can be told of a message without making an object of anything in it.
struct MessageShape {
  int type = 0;            // NID of its content type; 0 (NID_undef) of one that is not known
  std::size_t beside = 0;  // bytes that are not content: names, keys, certificates, signatures
};

// kMostBeside: libcrypto makes objects of everything but the content, many times the size of what
// they are made of; recipients, a signature and certificates for it need a few KiB.
inline constexpr std::size_t kMostBeside = 64U << 10U;

// shape_of walks the tags and lengths (BER, definite or not) of EnvelopedData, AuthEnvelopedData or
// SignedData. Nothing when they do not lie within the bytes.
[[nodiscard]] std::optional<MessageShape> shape_of(ByteView message);

}  // namespace fugo::daemon
