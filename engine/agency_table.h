// AgencyTable: how each agency's symbols are made in one generation. Private to the engine.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"
#include "engine/methods.h"
#include "engine/symbol_keys.h"
#include "hsm/token.h"
#include "keystore/types.h"

namespace fugo::engine {

struct AgencyFunction;

// AgencyItems is what one evaluation works on: item i is position chosen[i], or i when `chosen`
// is empty. `to` may be the same memory as `from`.
struct AgencyItems {
  std::span<const keystore::AgencyNumber> agencies;
  std::span<const Block> from;
  std::span<Block> to;
  std::span<const std::uint32_t> chosen;
};

// AgencyTable is constant after create(), so thread-safe.
class AgencyTable {
 public:
  // create takes each agency's newest version that is not newer than `generation`, and computes
  // what its parameter adds to a symbol: all agencies of one method and key in one bulk call.
  [[nodiscard]] static Result<AgencyTable> create(hsm::Token& token, const SymbolKeys& keys,
                                                  keystore::Generation generation,
                                                  std::span<const keystore::Agency> agencies);

  // make and invert: see Symbols::agency and Symbols::invert_agency.
  [[nodiscard]] Status make(hsm::Token& token, const SymbolKeys& keys,
                            const AgencyItems& items) const;
  [[nodiscard]] Status invert(hsm::Token& token, const SymbolKeys& keys,
                              keystore::AgencyNumber agency, std::span<const Block> symbols,
                              std::span<Block> linkage_symbols) const;

  [[nodiscard]] keystore::Generation generation() const { return generation_; }
  // method_of: nullptr when the agency has no symbols in this generation.
  [[nodiscard]] const Method* method_of(keystore::AgencyNumber agency) const;

 private:
  // Route is one way of making symbols that agencies of this generation share.
  struct Route {
    const AgencyFunction* function = nullptr;
    std::uint16_t key_version = 0;
  };

  AgencyTable() = default;
  [[nodiscard]] Result<std::uint8_t> route_for(const keystore::AgencyVersion& version);
  [[nodiscard]] Status prepare(hsm::Token& token, const SymbolKeys& keys, std::uint8_t route);
  [[nodiscard]] Status make_by(const Route& route, hsm::Token& token, const SymbolKeys& keys,
                               const AgencyItems& items) const;
  [[nodiscard]] Status make_mixed(hsm::Token& token, const SymbolKeys& keys,
                                  const AgencyItems& items) const;

  keystore::Generation generation_ = 0;
  std::vector<Route> routes_;
  std::vector<std::uint8_t> route_of_;  // by agency number, one for every possible number
  SecretArray<Block> masks_;            // by agency number, up to the highest one
};

}  // namespace fugo::engine
