// The key under which a request's content is hashed.
#pragma once

#include <array>
#include <cstdint>

#include "base/secret.h"
#include "engine/site.h"

namespace fugo::daemon {

// A request of one row has 10^10 contents, so whoever has its hash and the key can try them all.
// The ledger is read by the linking account too; so what a job's row has is not the key but its
// source, JobRow::request_key: a nonce (15 bytes, then zero), the linkage generation whose key it
// is made by (2, big-endian), zeros. The key itself is F(K_link, "request", ...), made by the
// issuing token alone: docs/spec/symbols.md. It is the same under new keys of the ledger.
using RequestKeySource = std::array<std::uint8_t, 32>;

// new_request_key draws a source, for the active generation.
[[nodiscard]] Result<RequestKeySource> new_request_key(engine::Site& site);

// merger_key is the source for what has no request: the zero nonce, and the job's own generation.
[[nodiscard]] RequestKeySource merger_key(keystore::Generation generation);

// request_key makes the key. kRefused when the token has not that generation's linkage key any
// more, or its role never had.
[[nodiscard]] Result<SecretBytes<32>> request_key(engine::Site& site,
                                                  const RequestKeySource& source);

}  // namespace fugo::daemon
