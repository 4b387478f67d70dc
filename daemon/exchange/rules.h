// What a site asks of encrypted requests: [exchange] of the configuration.
#pragma once

#include <cstdint>
#include <filesystem>

namespace fugo::daemon {

// ExchangeRules: paths are absolute. Documents: docs/exchange.md.
struct ExchangeRules {
  std::filesystem::path senders;       // folder of known senders' certificates, NAME.pem
  std::filesystem::path certificates;  // folder of this site's own, which requests are encrypted to
  bool require_encrypted = false;      // requests in the clear are refused
  std::uint64_t most_bytes = 256U << 20U;  // of an encrypted request, which is opened as a whole
};

}  // namespace fugo::daemon
