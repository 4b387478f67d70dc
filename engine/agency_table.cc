#include "engine/agency_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "engine/accepted.h"
#include "engine/kernels.h"
#include "engine/masks.h"
#include "engine/symbol_count.h"

namespace fugo::engine {

using hsm::Key;
using hsm::KeyPurpose;
using hsm::Token;

// AgencyFunction is a method's row of functions. `masks` are by agency number: what `prepare`
// made of the agencies' parameters.
struct AgencyFunction {
  MethodNumber method;
  KeyPurpose data;   // purpose of the key that makes the symbols
  KeyPurpose label;  // purpose of the key that prepares the parameters
  Status (*prepare)(Token&, const Key& label_key, std::span<Block> parameters);
  Status (*make)(Token&, const Key& data_key, const Block* masks, const AgencyItems&);
  Status (*invert)(Token&, const Key& data_key, const Block& mask, std::span<const Block> symbols,
                   std::span<Block> linkage_symbols);  // nullptr: one-way
};

namespace {

constexpr std::uint8_t kNoRoute = 0xFF;

// with_positions calls `act` with the function from item to position, so that the usual case,
// all items in order, has loops without an indirection.
template <typename Act>
Status with_positions(std::span<const std::uint32_t> chosen, const Act& act) {
  if (chosen.empty()) return act([](std::size_t i) { return i; });
  return act([at = chosen.data()](std::size_t i) -> std::size_t { return at[i]; });
}

std::size_t count_of(const AgencyItems& items) {
  return items.chosen.empty() ? items.from.size() : items.chosen.size();
}

// S = F(K_agency, P_a, L) = E_K(mask xor L) xor L.
Status make_cmac_ff(Token& token, const Key& key, const Block* masks, const AgencyItems& items) {
  return with_positions(items.chosen, [&](auto at) {
    if (!key.blocks)
      return sign_core(
          token, key, count_of(items),
          [&](std::size_t i) { return load_words(masks[items.agencies[at(i)]]); },
          [&](std::size_t i) { return load_words(items.from[at(i)]); },
          [&](std::size_t i, const Words& value) { store_words(items.to[at(i)], value); });
    const Part part{
        [at, masks, agency = items.agencies.data(), from = items.from.data()](std::size_t i) {
          soon(from, at(i));
          return load_words(masks[agency[at(i)]]) ^ load_words(from[at(i)]);
        },
        [at, from = items.from.data(), to = items.to.data()](std::size_t i, const Words& e) {
          soon(from, at(i));
          soon(to, at(i));
          store_words(to[at(i)], e ^ load_words(from[at(i)]));
        }};
    return encrypt_part(token, key, count_of(items), part);
  });
}

// S = first 128 bits of HMAC(K_agency, P_a || L).
Status make_hmac(Token& token, const Key& key, const Block* parameters, const AgencyItems& items) {
  return with_positions(items.chosen, [&](auto at) {
    return sign_each(
        token, key, count_of(items),
        [&](std::size_t i) { return load_words(parameters[items.agencies[at(i)]]); },
        [&](std::size_t i) { return load_words(items.from[at(i)]); },
        [&](std::size_t i, const Words& tag) { store_words(items.to[at(i)], tag); });
  });
}

// IEEE 1619 clause 5.3.1, first block of a data unit, j = 0: T = E_Key2(i), PP = P xor T,
// CC = E_Key1(PP), C = CC xor T.
Status make_xts(Token& token, const Key& key, const Block* tweaks, const AgencyItems& items) {
  return with_positions(items.chosen, [&](auto at) {
    const Part part{
        [at, tweaks, agency = items.agencies.data(), from = items.from.data()](std::size_t i) {
          return load_words(tweaks[agency[at(i)]]) ^ load_words(from[at(i)]);
        },
        [at, tweaks, agency = items.agencies.data(), to = items.to.data()](std::size_t i,
                                                                           const Words& e) {
          store_words(to[at(i)], e ^ load_words(tweaks[agency[at(i)]]));
        }};
    return encrypt_part(token, key, count_of(items), part);
  });
}

// IEEE 1619 clause 5.4.1: CC = C xor T, PP = D_Key1(CC), P = PP xor T.
Status invert_xts(Token& token, const Key& key, const Block& tweak, std::span<const Block> symbols,
                  std::span<Block> linkage_symbols) {
  const Words t = load_words(tweak);
  const Part part{[t, from = symbols.data()](std::size_t i) { return t ^ load_words(from[i]); },
                  [t, to = linkage_symbols.data()](std::size_t i, const Words& d) {
                    store_words(to[i], d ^ t);
                  }};
  return decrypt_part(token, key, symbols.size(), part);
}

// An HMAC's label is the parameter itself.
Status keep(Token& /*token*/, const Key& /*key*/, std::span<Block> /*parameters*/) { return {}; }

// T = E_K2(P_a).
Status encrypt_tweaks(Token& token, const Key& key, std::span<Block> parameters) {
  const Part part{
      [at = parameters.data()](std::size_t i) { return load_words(at[i]); },
      [at = parameters.data()](std::size_t i, const Words& e) { store_words(at[i], e); }};
  return encrypt_part(token, key, parameters.size(), part);
}

constexpr std::array<AgencyFunction, 3> kFunctions{{
    {MethodNumber::kCmacFfAes256, KeyPurpose::kAgency, KeyPurpose::kAgency, cmac_masks,
     make_cmac_ff, nullptr},
    {MethodNumber::kHmacSha256, KeyPurpose::kAgency, KeyPurpose::kAgency, keep, make_hmac, nullptr},
    {MethodNumber::kXtsAes256, KeyPurpose::kAgencyXtsData, KeyPurpose::kAgencyXtsTweak,
     encrypt_tweaks, make_xts, invert_xts},
}};

const AgencyFunction* find_function(std::uint8_t method) {
  for (const auto& function : kFunctions)
    if (static_cast<std::uint8_t>(function.method) == method) return &function;
  return nullptr;
}

hsm::KeyName key_name(const AgencyFunction& function, KeyPurpose purpose, std::uint16_t version) {
  const auto number = static_cast<std::uint8_t>(function.method);
  return {purpose, find_method(number)->algorithm, version};
}

tl::unexpected<Error> no_such_agency() {
  return fail(ErrorCode::kRefused, "an agency has no symbols in this generation");
}

}  // namespace

Result<AgencyTable> AgencyTable::create(Token& token, const SymbolKeys& keys,
                                        keystore::Generation generation,
                                        std::span<const keystore::Agency> agencies) {
  AgencyTable table;
  table.generation_ = generation;
  table.route_of_.assign(std::size_t{1} << 16U, kNoRoute);
  std::size_t highest = 0;
  for (const auto& agency : agencies) highest = std::max<std::size_t>(highest, agency.number);
  FUGO_ASSIGN(table.masks_, SecretArray<Block>::create(highest + 1));
  for (const auto& agency : agencies) {
    const auto* const version = version_for(agency, generation);
    if (version == nullptr) continue;
    FUGO_ASSIGN(table.route_of_[agency.number], table.route_for(*version));
    table.masks_[agency.number] = version->parameter;
  }
  for (std::size_t i = 0; i < table.routes_.size(); ++i)
    FUGO_TRY(table.prepare(token, keys, static_cast<std::uint8_t>(i)));
  return table;
}

Result<std::uint8_t> AgencyTable::route_for(const keystore::AgencyVersion& version) {
  const AgencyFunction* const function = find_function(version.method);
  if (function == nullptr)
    return fail(ErrorCode::kRefused,
                fmt::format("method {} does not make agency symbols", version.method));
  for (std::size_t i = 0; i < routes_.size(); ++i)
    if (routes_[i].function == function && routes_[i].key_version == version.key_version)
      return static_cast<std::uint8_t>(i);
  if (routes_.size() == kNoRoute)
    return fail(ErrorCode::kRefused, "one generation has too many methods and agency keys");
  routes_.push_back({function, version.key_version});
  return static_cast<std::uint8_t>(routes_.size() - 1);
}

Status AgencyTable::prepare(Token& token, const SymbolKeys& keys, std::uint8_t route) {
  const auto& [function, version] = routes_[route];
  FUGO_ASSIGN(const Key key, keys.find(key_name(*function, function->label, version)));
  std::vector<std::size_t> numbers;
  for (std::size_t number = 0; number < masks_.size(); ++number)
    if (route_of_[number] == route) numbers.push_back(number);
  FUGO_ASSIGN(auto parameters, SecretArray<Block>::create(numbers.size()));
  for (std::size_t i = 0; i < numbers.size(); ++i) parameters[i] = masks_[numbers[i]];
  FUGO_TRY(function->prepare(token, key, parameters.span()));
  for (std::size_t i = 0; i < numbers.size(); ++i) masks_[numbers[i]] = parameters[i];
  return {};
}

Status AgencyTable::make(Token& token, const SymbolKeys& keys, const AgencyItems& items) const {
  if (items.from.empty()) return {};
  // One pass without branches: does every item take the first one's route?
  const std::uint8_t first = route_of_[items.agencies.front()];
  std::uint8_t different = 0;
  for (const keystore::AgencyNumber agency : items.agencies)
    different = static_cast<std::uint8_t>(different | (route_of_[agency] ^ first));
  if (different != 0) return make_mixed(token, keys, items);
  if (first == kNoRoute) return no_such_agency();
  return make_by(routes_[first], token, keys, items);
}

Status AgencyTable::make_mixed(Token& token, const SymbolKeys& keys,
                               const AgencyItems& items) const {
  std::vector<std::vector<std::uint32_t>> chosen(routes_.size());
  for (std::size_t i = 0; i < items.agencies.size(); ++i) {
    const std::uint8_t route = route_of_[items.agencies[i]];
    if (route == kNoRoute) return no_such_agency();
    chosen[route].push_back(static_cast<std::uint32_t>(i));
  }
  for (std::size_t route = 0; route < routes_.size(); ++route) {
    if (chosen[route].empty()) continue;
    AgencyItems part = items;
    part.chosen = chosen[route];
    FUGO_TRY(make_by(routes_[route], token, keys, part));
  }
  return {};
}

Status AgencyTable::make_by(const Route& route, Token& token, const SymbolKeys& keys,
                            const AgencyItems& items) const {
  const auto& [function, version] = route;
  FUGO_ASSIGN(const Key key, keys.find(key_name(*function, function->data, version)));
  count_symbols(SymbolKind::kAgency, function->method, count_of(items));
  return function->make(token, key, masks_.data(), items);
}

Status AgencyTable::invert(Token& token, const SymbolKeys& keys, keystore::AgencyNumber agency,
                           std::span<const Block> symbols, std::span<Block> linkage_symbols) const {
  const std::uint8_t route = route_of_[agency];
  if (route == kNoRoute) return no_such_agency();
  const auto& [function, version] = routes_[route];
  if (function->invert == nullptr)
    return fail(ErrorCode::kRefused, "symbols of this agency are one-way", {},
                "recompute those of the people it was issued");
  const hsm::KeyName name = key_name(*function, function->data, version);
  FUGO_ASSIGN(const Key key, keys.find(name));
  if (!hsm::placement_of(name, keys.role()).uses.decrypt)
    return fail(ErrorCode::kRefused, "this token's role cannot invert agency symbols",
                hsm::key_label(name), "do this with the linking token");
  return function->invert(token, key, masks_[agency], symbols, linkage_symbols);
}

const Method* AgencyTable::method_of(keystore::AgencyNumber agency) const {
  const std::uint8_t route = route_of_[agency];
  if (route == kNoRoute) return nullptr;
  return find_method(static_cast<std::uint8_t>(routes_[route].function->method));
}

}  // namespace fugo::engine
