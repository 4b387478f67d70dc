#include "engine/symbols.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/agency_table.h"
#include "engine/kernels.h"
#include "engine/masks.h"
#include "engine/symbol_count.h"
#include "engine/symbol_keys.h"

namespace fugo::engine {
namespace {

using hsm::Key;
using hsm::KeyPurpose;

// Positions of the constant labels in LabelMasks.
enum Label : std::size_t { kLinkage, kCheck, kRecord, kChain, kChainCheck, kRequest, kLabels };
constexpr std::array<std::string_view, kLabels> kLabelTexts{
    kLinkageLabel, kCheckLabel, kRecordLabel, kChainLabel, kChainCheckLabel, kRequestLabel};

// ConstantKey is a key that is used with constant labels, and its masks: for an AES key that
// encrypts blocks the labels' masks, for others the labels themselves.
struct ConstantKey {
  Key key;
  SecretArray<Block> masks;  // by Label
};

Result<ConstantKey> prepare_constant(hsm::Token& token, const Key& key) {
  ConstantKey constant;
  constant.key = key;
  FUGO_ASSIGN(constant.masks, SecretArray<Block>::create(kLabels));
  for (std::size_t i = 0; i < kLabels; ++i) constant.masks[i] = label_block(kLabelTexts[i]);
  if (key.name.algorithm == hsm::KeyAlgorithm::kAes256)
    FUGO_TRY(cmac_masks(token, key, constant.masks.span()));
  return constant;
}

// Which bytes of X hold what: method(1) | counter(2) | zeros(5) | resident code(8), big-endian.
std::uint64_t first_of_x(std::uint8_t method, std::uint16_t counter) {
  return big_endian((std::uint64_t{method} << 56U) | (std::uint64_t{counter} << 40U));
}

// The bytes of a linkage symbol that a method keeps: all, or the first 2 of test-16.
Words kept_bits(const Method& method) {
  if (method.number != MethodNumber::kTest16) return {~std::uint64_t{0}, ~std::uint64_t{0}};
  return {big_endian(std::uint64_t{0xFFFF} << 48U), 0};
}

Status check_sizes(std::initializer_list<std::size_t> sizes) {
  if (std::adjacent_find(sizes.begin(), sizes.end(), std::not_equal_to<>()) == sizes.end())
    return {};
  return fail(ErrorCode::kInternal, "spans of unequal length were given");
}

// Two agencies, or two versions, of one parameter could be matched by their symbols.
Status check_parameters(std::span<const keystore::Agency> agencies) {
  std::vector<Block> parameters;
  for (const auto& agency : agencies)
    for (const auto& version : agency.versions) parameters.push_back(version.parameter);
  std::sort(parameters.begin(), parameters.end());
  if (std::adjacent_find(parameters.begin(), parameters.end()) == parameters.end()) return {};
  return fail(ErrorCode::kDamaged, "two agency parameters are equal", "agency registry");
}

class TokenSymbols final : public Symbols {
 public:
  static Result<std::unique_ptr<Symbols>> open(std::shared_ptr<hsm::Token> token,
                                               std::span<const keystore::KeyRow> keys,
                                               std::span<const keystore::GenerationRow> generations,
                                               std::span<const keystore::Agency> agencies);

  Status linkage(const keystore::GenerationRow& generation, std::span<const std::uint64_t> codes,
                 std::span<const std::uint16_t> counters, std::span<Block> symbols) override;
  Status linkage_and_check(const keystore::GenerationRow& generation,
                           std::span<const std::uint64_t> codes, std::span<Block> symbols,
                           std::span<keystore::CheckValue> checks) override;
  Status agency(keystore::Generation generation, std::span<const keystore::AgencyNumber> agencies,
                std::span<const Block> linkage_symbols, std::span<Block> symbols) override;
  Status invert_agency(keystore::Generation generation, keystore::AgencyNumber agency,
                       std::span<const Block> symbols, std::span<Block> linkage_symbols) override;
  Status record(const keystore::GenerationRow& generation, std::span<const Block> linkage_symbols,
                std::span<Block> symbols) override;
  Status chain(const keystore::GenerationRow& generation, std::span<Block> linkage_symbols,
               std::span<keystore::CheckValue> checks) override;
  Status request_key(const keystore::GenerationRow& generation, const Block& nonce,
                     SecretBytes<32>& key) override;
  const Method* method_of(keystore::Generation generation,
                          keystore::AgencyNumber agency) const override;

 private:
  // Maker is a generation's key of one purpose, and the method that uses it.
  struct Maker {
    const Method* method;
    const ConstantKey* key;
  };

  Result<Maker> maker(const keystore::GenerationRow& generation, KeyPurpose purpose,
                      std::uint16_t version) const;
  const AgencyTable* table(keystore::Generation generation) const;

  // evaluate gives result(i, ...) the method's value of label and x(i), for one label.
  template <typename X, typename Output>
  Status evaluate(const Maker& maker, Label label, std::size_t count, X x, Output result);
  // evaluate_both does it for two labels, in the same calls where the method is a bulk one.
  template <typename XA, typename OutputA, typename XB, typename OutputB>
  Status evaluate_both(const Maker& maker, std::size_t count, Label label_a, XA xa,
                       OutputA result_a, Label label_b, XB xb, OutputB result_b);

  // Constant after open().
  std::shared_ptr<hsm::Token> token_;
  SymbolKeys keys_;
  std::vector<ConstantKey> constants_;
  std::vector<AgencyTable> tables_;
};

Result<std::unique_ptr<Symbols>> TokenSymbols::open(
    std::shared_ptr<hsm::Token> token, std::span<const keystore::KeyRow> keys,
    std::span<const keystore::GenerationRow> generations,
    std::span<const keystore::Agency> agencies) {
  FUGO_TRY(check_parameters(agencies));
  auto symbols = std::make_unique<TokenSymbols>();
  symbols->token_ = std::move(token);
  FUGO_ASSIGN(symbols->keys_, SymbolKeys::open(*symbols->token_, keys));
  for (const Key& key : symbols->keys_.keys()) {
    if (key.name.purpose != KeyPurpose::kLinkage && key.name.purpose != KeyPurpose::kRecord)
      continue;
    FUGO_ASSIGN(auto constant, prepare_constant(*symbols->token_, key));
    symbols->constants_.push_back(std::move(constant));
  }
  for (const auto& generation : generations) {
    if (generation.state == keystore::GenerationState::kRetired) continue;
    FUGO_ASSIGN(auto table,
                AgencyTable::create(*symbols->token_, symbols->keys_, generation.number, agencies));
    symbols->tables_.push_back(std::move(table));
  }
  return symbols;
}

Result<TokenSymbols::Maker> TokenSymbols::maker(const keystore::GenerationRow& generation,
                                                KeyPurpose purpose, std::uint16_t version) const {
  const Method* const method = find_method(generation.linkage_method);
  if (method == nullptr || !method->for_linkage)
    return fail(ErrorCode::kRefused,
                fmt::format("method {} does not make linkage symbols", generation.linkage_method));
  FUGO_ASSIGN(const Key key, keys_.find({purpose, method->algorithm, version}));
  for (const auto& constant : constants_)
    if (constant.key.name == key.name) return Maker{method, &constant};
  return fail(ErrorCode::kInternal, "a key has no masks", hsm::key_label(key.name));
}

template <typename X, typename Output>
Status TokenSymbols::evaluate(const Maker& maker, Label label, std::size_t count, X x,
                              Output result) {
  const Block& mask = maker.key->masks[label];
  if (label != kCheck && label != kChainCheck && label != kRequest)
    count_symbols(label == kRecord ? SymbolKind::kRecord : SymbolKind::kLinkage,
                  maker.method->number, count);
  const Key& key = maker.key->key;
  const bool cmac = maker.method->algorithm == hsm::KeyAlgorithm::kAes256;
  if (cmac && key.blocks) return encrypt_part(*token_, key, count, masked(mask, x, result));
  const auto label_of = [words = load_words(mask)](std::size_t) { return words; };
  if (cmac) return sign_core(*token_, key, count, label_of, x, result);
  return sign_each(*token_, key, count, label_of, x, result);
}

template <typename XA, typename OutputA, typename XB, typename OutputB>
Status TokenSymbols::evaluate_both(const Maker& maker, std::size_t count, Label label_a, XA xa,
                                   OutputA result_a, Label label_b, XB xb, OutputB result_b) {
  if (maker.method->algorithm == hsm::KeyAlgorithm::kAes256 && maker.key->key.blocks) {
    count_symbols(SymbolKind::kLinkage, maker.method->number, count);  // the other is a check value
    return encrypt_parts(*token_, maker.key->key, count,
                         masked(maker.key->masks[label_a], xa, result_a),
                         masked(maker.key->masks[label_b], xb, result_b));
  }
  FUGO_TRY(evaluate(maker, label_a, count, xa, result_a));
  return evaluate(maker, label_b, count, xb, result_b);
}

// store_check keeps the first 8 bytes of a result.
auto store_check(std::span<keystore::CheckValue> checks) {
  return [to = checks.data()](std::size_t i, const Words& value) {
    soon(to, i);
    std::memcpy(to[i].data(), &value.first, sizeof value.first);
  };
}

auto store_symbol(std::span<Block> symbols, Words kept) {
  return [to = symbols.data(), kept](std::size_t i, const Words& value) {
    soon(to, i);
    store_words(to[i], {value.first & kept.first, value.second & kept.second});
  };
}

auto store_symbol(std::span<Block> symbols) {
  return [to = symbols.data()](std::size_t i, const Words& value) { store_words(to[i], value); };
}

Status TokenSymbols::linkage(const keystore::GenerationRow& generation,
                             std::span<const std::uint64_t> codes,
                             std::span<const std::uint16_t> counters, std::span<Block> symbols) {
  FUGO_TRY(check_sizes({codes.size(), symbols.size()}));
  if (!counters.empty()) FUGO_TRY(check_sizes({codes.size(), counters.size()}));
  FUGO_ASSIGN(const Maker by, maker(generation, KeyPurpose::kLinkage, generation.linkage_key));
  const auto method = generation.linkage_method;
  const auto result = store_symbol(symbols, kept_bits(*by.method));
  if (counters.empty())
    return evaluate(
        by, kLinkage, codes.size(),
        [first = first_of_x(method, 0), from = codes.data()](std::size_t i) {
          return Words{first, big_endian(from[i])};
        },
        result);
  return evaluate(
      by, kLinkage, codes.size(),
      [method, counter = counters.data(), from = codes.data()](std::size_t i) {
        return Words{first_of_x(method, counter[i]), big_endian(from[i])};
      },
      result);
}

Status TokenSymbols::linkage_and_check(const keystore::GenerationRow& generation,
                                       std::span<const std::uint64_t> codes,
                                       std::span<Block> symbols,
                                       std::span<keystore::CheckValue> checks) {
  FUGO_TRY(check_sizes({codes.size(), symbols.size(), checks.size()}));
  FUGO_ASSIGN(const Maker by, maker(generation, KeyPurpose::kLinkage, generation.linkage_key));
  const auto x = [first = first_of_x(generation.linkage_method, 0),
                  from = codes.data()](std::size_t i) {
    soon(from, i);
    return Words{first, big_endian(from[i])};
  };
  return evaluate_both(by, codes.size(), kLinkage, x, store_symbol(symbols, kept_bits(*by.method)),
                       kCheck, x, store_check(checks));
}

Status TokenSymbols::record(const keystore::GenerationRow& generation,
                            std::span<const Block> linkage_symbols, std::span<Block> symbols) {
  FUGO_TRY(check_sizes({linkage_symbols.size(), symbols.size()}));
  FUGO_ASSIGN(const Maker by, maker(generation, KeyPurpose::kRecord, generation.record_key));
  return evaluate(
      by, kRecord, symbols.size(),
      [from = linkage_symbols.data()](std::size_t i) { return load_words(from[i]); },
      store_symbol(symbols));
}

Status TokenSymbols::chain(const keystore::GenerationRow& generation,
                           std::span<Block> linkage_symbols,
                           std::span<keystore::CheckValue> checks) {
  FUGO_TRY(check_sizes({linkage_symbols.size(), checks.size()}));
  FUGO_ASSIGN(const Maker by, maker(generation, KeyPurpose::kLinkage, generation.linkage_key));
  const auto symbol = [from = linkage_symbols.data()](std::size_t i) {
    return load_words(from[i]);
  };
  const auto check = [from = checks.data()](std::size_t i) {
    Words words;
    std::memcpy(&words.first, from[i].data(), sizeof words.first);
    return words;
  };
  return evaluate_both(by, checks.size(), kChain, symbol, store_symbol(linkage_symbols),
                       kChainCheck, check, store_check(checks));
}

const AgencyTable* TokenSymbols::table(keystore::Generation generation) const {
  for (const auto& table : tables_)
    if (table.generation() == generation) return &table;
  return nullptr;
}

tl::unexpected<Error> no_such_generation(keystore::Generation generation) {
  return fail(ErrorCode::kRefused, fmt::format("generation {} is not in use", generation));
}

Status TokenSymbols::agency(keystore::Generation generation,
                            std::span<const keystore::AgencyNumber> agencies,
                            std::span<const Block> linkage_symbols, std::span<Block> symbols) {
  FUGO_TRY(check_sizes({agencies.size(), linkage_symbols.size(), symbols.size()}));
  const AgencyTable* const found = table(generation);
  if (found == nullptr) return no_such_generation(generation);
  return found->make(*token_, keys_, {agencies, linkage_symbols, symbols, {}});
}

Status TokenSymbols::invert_agency(keystore::Generation generation, keystore::AgencyNumber agency,
                                   std::span<const Block> symbols,
                                   std::span<Block> linkage_symbols) {
  FUGO_TRY(check_sizes({symbols.size(), linkage_symbols.size()}));
  const AgencyTable* const found = table(generation);
  if (found == nullptr) return no_such_generation(generation);
  return found->invert(*token_, keys_, agency, symbols, linkage_symbols);
}

Status TokenSymbols::request_key(const keystore::GenerationRow& generation, const Block& nonce,
                                 SecretBytes<32>& key) {
  FUGO_ASSIGN(const auto with, maker(generation, KeyPurpose::kLinkage, generation.linkage_key));
  std::array<Block, 2> inputs{nonce, nonce};
  inputs[1].bytes.back() ^= 1;
  std::uint8_t* const to = key.data();
  return evaluate(
      with, kRequest, inputs.size(), [&](std::size_t i) { return load_words(inputs[i]); },
      [to](std::size_t i, const Words& value) {
        std::memcpy(to + i * sizeof value, &value, sizeof value);
      });
}

const Method* TokenSymbols::method_of(keystore::Generation generation,
                                      keystore::AgencyNumber agency) const {
  const AgencyTable* const found = table(generation);
  return found == nullptr ? nullptr : found->method_of(agency);
}

}  // namespace

Result<std::unique_ptr<Symbols>> Symbols::open(std::shared_ptr<hsm::Token> token,
                                               std::span<const keystore::KeyRow> keys,
                                               std::span<const keystore::GenerationRow> generations,
                                               std::span<const keystore::Agency> agencies) {
  return TokenSymbols::open(std::move(token), keys, generations, agencies);
}

}  // namespace fugo::engine
