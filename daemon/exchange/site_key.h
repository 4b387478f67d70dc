// This site's own exchange keys: made, listed, destroyed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/config.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

// SiteKey is one exchange key of the issuing token, or a certificate of one.
struct SiteKey {
  std::string label;
  std::filesystem::path certificate;  // empty: there is none of this key
  std::string fingerprint;            // of the certificate: SHA-256, hexadecimal
  std::int64_t not_after = 0;
  std::string fault;  // empty: requests that are encrypted to it can be opened
};

// create_site_key makes a key in the issuing token and writes its certificate, signed by the
// ledger's journal key, to exchange.certificates: LABEL.pem. Journaled before and after; what a
// crash in between leaves is a key without a certificate, which nothing is ever encrypted to. The
// ledger must be closed. kRefused for SoftHSM in production.
[[nodiscard]] Result<SiteKey> create_site_key(const Settings& settings, std::uint32_t days,
                                              const keystore::Actor& actor);

// list_site_keys lists the token's keys and the folder's certificates.
[[nodiscard]] Result<std::vector<SiteKey>> list_site_keys(const Settings& settings);

// has_site_key tells by the journal alone whether a key was made, or its making begun, that was not
// destroyed since: what is encrypted to it must be opened, whatever token and folder have now.
[[nodiscard]] Result<bool> has_site_key(const keystore::Ledger& ledger);

// destroy_site_key takes a key out of the token and its certificate out of use (LABEL.pem.old); the
// label's number is not used again. False when neither was there. Journaled before and after.
[[nodiscard]] Result<bool> destroy_site_key(const Settings& settings, const std::string& label,
                                            const keystore::Actor& actor);

}  // namespace fugo::daemon
