// The recovery key among custodians: M of N shares, each encrypted to one custodian's certificate.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "hsm/key_recovery.h"

namespace fugo::daemon {

// ShareHolder is a custodian and the certificate that their share is encrypted to.
struct ShareHolder {
  std::string name;                   // 1 to 64 of 0-9A-Za-z._-
  std::filesystem::path certificate;  // X.509, RSA or EC, PEM
};

// Escrow is what make_escrow is to make.
struct Escrow {
  std::uint8_t needed = 2;  // M, at least 2
  std::vector<ShareHolder> holders;
  std::filesystem::path directory;  // absent or empty
};

// make_escrow makes a new RSA key pair of 3072 bits, or takes the one in `existing` (empty: none),
// splits the private key into shares of which `needed` give it back (Botan's RTSS, threshold secret
// sharing by Shamir over GF(2^8), with a SHA-256 of the secret), and writes to the directory, which
// appears complete or not at all: recovery-public.pem, and for each holder NAME.share.p7m (CMS
// AuthEnvelopedData, AES-256-GCM, PEM), which `openssl cms -decrypt -inform PEM` opens. The private
// key and the shares touch no disk in the clear. kUsage for bad names, numbers or certificates.
[[nodiscard]] Status make_escrow(const Escrow& escrow, const std::filesystem::path& existing);

// join_shares gives the recovery key back from share files that holders have decrypted. kUsage for
// too few, for what is no share, and for shares of different keys.
[[nodiscard]] Result<hsm::RecoveryKey> join_shares(
    const std::vector<std::filesystem::path>& shares);

}  // namespace fugo::daemon
