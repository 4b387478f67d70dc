// Symbols: linkage, agency and record symbols made in bulk by the keys of one token.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"
#include "engine/methods.h"
#include "hsm/token.h"
#include "keystore/types.h"

namespace fugo::engine {

// Symbols knows the keys of every live generation and the parameters of every agency, and makes
// symbols from them. Methods of one call may differ from item to item. Thread-safe; symbols and
// codes that are passed in and out belong in SecretArrays. Every bulk method spreads over the
// token's threads and calls.
class Symbols {
 public:
  // open finds the keys in the token by the registry's rows (fingerprints checked), leaving out
  // those that its role does not have, and computes the masks of all agencies in one call.
  [[nodiscard]] static Result<std::unique_ptr<Symbols>> open(
      std::shared_ptr<hsm::Token> token, std::span<const keystore::KeyRow> keys,
      std::span<const keystore::GenerationRow> generations,
      std::span<const keystore::Agency> agencies);
  virtual ~Symbols() = default;

  // linkage makes L of each resident code (0 ... 10^11 - 1, as a number), with counters[i], or 0
  // where `counters` is empty. All spans of outputs have codes.size() items.
  // X = method(1) | counter(2, big-endian) | zeros(5) | resident code(8, big-endian), and
  // L = F(K_link, "linkage", X): docs/spec/symbols.md.
  [[nodiscard]] virtual Status linkage(const keystore::GenerationRow& generation,
                                       std::span<const std::uint64_t> codes,
                                       std::span<const std::uint16_t> counters,
                                       std::span<Block> symbols) = 0;
  // linkage_and_check makes L with counter 0 and V = first 8 bytes of F(K_link, "check", X) in
  // the same calls.
  [[nodiscard]] virtual Status linkage_and_check(const keystore::GenerationRow& generation,
                                                 std::span<const std::uint64_t> codes,
                                                 std::span<Block> symbols,
                                                 std::span<keystore::CheckValue> checks) = 0;
  // agency makes S of each L for the agency beside it, by the agency's version for `generation`.
  [[nodiscard]] virtual Status agency(keystore::Generation generation,
                                      std::span<const keystore::AgencyNumber> agencies,
                                      std::span<const Block> linkage_symbols,
                                      std::span<Block> symbols) = 0;
  // invert_agency gives L of each S where the agency's method can be inverted; kRefused otherwise.
  [[nodiscard]] virtual Status invert_agency(keystore::Generation generation,
                                             keystore::AgencyNumber agency,
                                             std::span<const Block> symbols,
                                             std::span<Block> linkage_symbols) = 0;
  // record makes R = F(K_record, "record", L).
  [[nodiscard]] virtual Status record(const keystore::GenerationRow& generation,
                                      std::span<const Block> linkage_symbols,
                                      std::span<Block> symbols) = 0;
  // chain makes L' = F(K'_link, "chain", L) and V' = first 8 bytes of F(K'_link, "chain check",
  // V padded with zeros) with the linkage key of `generation`, in place.
  [[nodiscard]] virtual Status chain(const keystore::GenerationRow& generation,
                                     std::span<Block> linkage_symbols,
                                     std::span<keystore::CheckValue> checks) = 0;

  // request_key makes 32 bytes of a nonce whose last byte is even: F(K_link, "request", nonce) and
  // F(K_link, "request", nonce with its last bit set). kRefused in a role without linkage keys.
  [[nodiscard]] virtual Status request_key(const keystore::GenerationRow& generation,
                                           const Block& nonce, SecretBytes<32>& key) = 0;

  // method_of tells how an agency's symbols of a generation are made; nullptr: no such agency.
  [[nodiscard]] virtual const Method* method_of(keystore::Generation generation,
                                                keystore::AgencyNumber agency) const = 0;
};

}  // namespace fugo::engine
