#include "keystore/content_digest.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/text.h"
#include "keystore/openssl_util.h"

namespace fugo::keystore {
namespace {

constexpr std::size_t kBatch = 256;
using Batch = std::array<Block, kBatch>;

// Scratch is wiped when it goes: bases, masks and elements are secret.
struct Scratch {
  Batch y, first, second;
  ~Scratch() { wipe(this, sizeof *this); }
};

// add_element adds first | second, one 256-bit big-endian number.
void add_element(const Block& first, const Block& second, DigestSum& sum) {
  DigestSum element;
  element.limbs[3] = load_be<std::uint64_t>(first.bytes.data());
  element.limbs[2] = load_be<std::uint64_t>(first.bytes.data() + 8);
  element.limbs[1] = load_be<std::uint64_t>(second.bytes.data());
  element.limbs[0] = load_be<std::uint64_t>(second.bytes.data() + 8);
  sum.add(element);
}

// Elements turns blocks (base xor mask) into elements of a sum, a batch at a time.
class Elements {
 public:
  static Result<Elements> create(const SecretBytes<32>& a, const SecretBytes<32>& b,
                                 const SecretBytes<32>& c) {
    FUGO_ASSIGN(auto first, BlockEncryptor::create(a));
    FUGO_ASSIGN(auto second, BlockEncryptor::create(b));
    FUGO_ASSIGN(auto third, BlockEncryptor::create(c));
    return Elements{std::move(first), std::move(second), std::move(third)};
  }

  BlockEncryptor a, b, c;

  Status add(Scratch& scratch, std::size_t count, DigestSum& sum) {
    const auto y = std::span(scratch.y).first(count);
    FUGO_TRY(a.encrypt(y, y));
    FUGO_TRY(b.encrypt(y, std::span(scratch.first).first(count)));
    FUGO_TRY(c.encrypt(y, std::span(scratch.second).first(count)));
    for (std::size_t i = 0; i < count; ++i) add_element(scratch.first[i], scratch.second[i], sum);
    return {};
  }
};

// person_block is what of a person besides the linkage symbol goes into the digest: nothing that
// depends on the order in which people were made.
Block person_block(const PersonRecord& person) {
  Block block;
  block.bytes[0] = 'p';
  store_be(&block.bytes[2], person.counter);
  std::memcpy(&block.bytes[4], person.check_value.data(), person.check_value.size());
  block.bytes[12] = person.method;
  block.bytes[13] = static_cast<std::uint8_t>(person.state);
  store_be(&block.bytes[14], person.start);
  return block;
}

Result<Block> agency_code_block(const std::string& code) {
  if (code.empty() || code.size() > sizeof(Block))
    return fail(ErrorCode::kInternal, "an agency code has 1 to 16 characters", "content digest");
  Block block;
  std::memcpy(block.bytes.data(), code.data(), code.size());
  return block;
}

// chain is CBC-MAC over blocks: its first block names the domain and so the number of blocks.
Result<Block> chain(BlockEncryptor encryptor, std::initializer_list<Block> blocks) {
  Block value;
  for (const Block& block : blocks) {
    value = value ^ block;
    FUGO_TRY(encryptor.encrypt({&value, 1}, {&value, 1}));
  }
  return value;
}

void append_sum(std::string& text, const DigestSum& sum) {
  for (std::size_t i = sum.limbs.size(); i-- > 0;) {
    std::array<std::uint8_t, 8> bytes;
    store_be(bytes.data(), sum.limbs[i]);
    text.append(as_text(bytes));
  }
}

}  // namespace

void DigestSum::add(const DigestSum& other) {
  bool carry = false;
  for (std::size_t i = 0; i < limbs.size(); ++i) {
    std::uint64_t sum = 0;
    const bool first = __builtin_add_overflow(limbs[i], other.limbs[i], &sum);
    const bool second = __builtin_add_overflow(sum, static_cast<std::uint64_t>(carry), &limbs[i]);
    carry = first || second;
  }
}

// The negative of a sum modulo 2^256: all bits turned, plus one.
void DigestSum::subtract(const DigestSum& other) {
  DigestSum negative, one;
  for (std::size_t i = 0; i < limbs.size(); ++i) negative.limbs[i] = ~other.limbs[i];
  one.limbs[0] = 1;
  negative.add(one);
  add(negative);
}

Result<std::shared_ptr<const ContentDigest>> ContentDigest::create(
    std::shared_ptr<const LedgerKeys> keys) {
  std::shared_ptr<ContentDigest> digest(new ContentDigest());
  const auto derive = [&](std::string_view info, SecretBytes<32>& out) {
    return hkdf_sha256(keys->digest().bytes(), keys->ledger_id().bytes, as_bytes(info),
                       out.bytes());
  };
  FUGO_TRY(derive("fugo digest A", digest->a_));
  FUGO_TRY(derive("fugo digest B", digest->b_));
  FUGO_TRY(derive("fugo digest C", digest->c_));
  digest->keys_ = std::move(keys);
  return std::shared_ptr<const ContentDigest>(std::move(digest));
}

Status ContentDigest::person_bases(std::span<const Block> linkage_symbols,
                                   std::span<Block> bases) const {
  FUGO_ASSIGN(auto encryptor, BlockEncryptor::create(a_));
  return encryptor.encrypt(linkage_symbols, bases);
}

Status ContentDigest::add_people(std::span<const PersonRecord> people, DigestSum& sum) const {
  FUGO_ASSIGN(auto elements, Elements::create(a_, b_, c_));
  Scratch scratch;
  for (std::size_t first = 0; first < people.size(); first += kBatch) {
    const std::size_t count = std::min(kBatch, people.size() - first);
    const auto bases = std::span(scratch.y).first(count);
    const auto masks = std::span(scratch.first).first(count);
    for (std::size_t i = 0; i < count; ++i) {
      bases[i] = people[first + i].linkage_symbol;
      masks[i] = person_block(people[first + i]);
    }
    FUGO_TRY(elements.a.encrypt(bases, bases));
    FUGO_TRY(elements.a.encrypt(masks, masks));
    for (std::size_t i = 0; i < count; ++i) bases[i] = bases[i] ^ masks[i];
    FUGO_TRY(elements.add(scratch, count, sum));
  }
  return {};
}

Result<Block> ContentDigest::agency_mask(const std::string& agency_code) const {
  FUGO_ASSIGN(auto encryptor, BlockEncryptor::create(a_));
  FUGO_ASSIGN(const Block code, agency_code_block(agency_code));
  Block domain;
  domain.bytes[0] = 'i';
  return chain(std::move(encryptor), {domain, code});
}

Result<Block> ContentDigest::agency_time_mask(const std::string& agency_code,
                                              std::int64_t time) const {
  FUGO_ASSIGN(auto encryptor, BlockEncryptor::create(a_));
  FUGO_ASSIGN(const Block code, agency_code_block(agency_code));
  Block domain;
  domain.bytes[0] = 't';
  store_be(&domain.bytes[8], static_cast<std::uint64_t>(time));
  return chain(std::move(encryptor), {domain, code});
}

Status ContentDigest::add_issuances(std::span<const Block> bases, std::span<const Block> masks,
                                    DigestSum& sum) const {
  FUGO_ASSIGN(auto elements, Elements::create(a_, b_, c_));
  Scratch scratch;
  for (std::size_t first = 0; first < bases.size(); first += kBatch) {
    const std::size_t count = std::min(kBatch, bases.size() - first);
    for (std::size_t i = 0; i < count; ++i) scratch.y[i] = bases[first + i] ^ masks[first + i];
    FUGO_TRY(elements.add(scratch, count, sum));
  }
  return {};
}

Result<std::string> ContentDigest::text(const LedgerState& state, bool with_times) const {
  std::string content = with_times ? "fugo digest 1 with times" : "fugo digest 1";
  content.push_back('\0');
  append_sum(content, state.people_digest);
  append_sum(content, state.issued_digest);
  if (with_times) append_sum(content, state.times_digest);
  std::array<std::uint8_t, 32> mac;
  std::size_t size = 0;
  char digest[] = "SHA256";
  if (EVP_Q_mac(nullptr, "HMAC", nullptr, digest, nullptr, keys_->digest().data(),
                keys_->digest().size(), reinterpret_cast<const std::uint8_t*>(content.data()),
                content.size(), mac.data(), mac.size(), &size) == nullptr ||
      size != mac.size())
    return crypto_failure("EVP_Q_mac");
  return hex(mac);
}

}  // namespace fugo::keystore
