// The keyed, order-free digest of the ledger's content, kept up at each commit.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "keystore/ledger_keys.h"
#include "keystore/types.h"

namespace fugo::keystore {

// ContentDigest computes elements of the digest; the sum modulo 2^256 of all elements does not
// depend on order. See docs/spec/ledger.md, "Content digest". With the digest key, three AES-256
// keys are derived (A, B, C) and for each person base = AES_A(L):
//   person:            y = AES_A(base xor AES_A(counter | check value | method | state | start))
//   issuance:          y = AES_A(base xor AES_A("i" | agency code padded))... one mask an agency
//   issuance and time: the mask also takes the time of issue
// and the element is AES_B(y) | AES_C(y) as a 256-bit big-endian number.
// Thread-safe after create().
class ContentDigest {
 public:
  [[nodiscard]] static Result<std::shared_ptr<const ContentDigest>> create(
      std::shared_ptr<const LedgerKeys> keys);

  // person_bases writes AES_A(L) of each linkage symbol; secret like it.
  [[nodiscard]] Status person_bases(std::span<const Block> linkage_symbols,
                                    std::span<Block> bases) const;
  [[nodiscard]] Status add_people(std::span<const PersonRecord> people, DigestSum& sum) const;

  // Masks of an agency (by its code), without and with a time of issue.
  [[nodiscard]] Result<Block> agency_mask(const std::string& agency_code) const;
  [[nodiscard]] Result<Block> agency_time_mask(const std::string& agency_code,
                                               std::int64_t time) const;
  // add_issuances adds an element for each base under the mask beside it. Sizes are equal.
  [[nodiscard]] Status add_issuances(std::span<const Block> bases, std::span<const Block> masks,
                                     DigestSum& sum) const;

  // text is what `fugo digest` prints: hex of HMAC-SHA-256(digest key, schema name | sums).
  [[nodiscard]] Result<std::string> text(const LedgerState& state, bool with_times) const;

 private:
  ContentDigest() = default;
  std::shared_ptr<const LedgerKeys> keys_;
  SecretBytes<32> a_, b_, c_;
};

}  // namespace fugo::keystore
