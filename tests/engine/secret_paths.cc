// The paths that resident codes and linkage symbols take, in the engine's and the daemon's own
// code, with a token that gives out secrets.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "daemon/files/agency_table.h"
#include "daemon/files/row.h"
#include "engine/issue/index_look.h"
#include "engine/issue/sorting.h"
#include "engine/symbols.h"
#include "hsm/recovery_package.h"
#include "keystore/ledger_keys.h"
#include "keystore/seal.h"
#include "tests/engine/secret_timing.h"

namespace fugo::test {
namespace {

using engine::Symbols;
using hsm::KeyAlgorithm;
using hsm::KeyPurpose;
using keystore::Generation;

constexpr std::size_t kItems = 300;

// SecretToken answers with secrets, as a token does; of the keys it is told whether it can encrypt
// blocks with them.
class SecretToken final : public hsm::Token {
 public:
  explicit SecretToken(bool blocks) : blocks_(blocks) {}

  Result<hsm::Key> find_key(const hsm::KeyName& name, const std::optional<Block>&) override {
    return hsm::Key{name, 0, blocks_};
  }
  Status encrypt(const hsm::Key&, std::size_t count, const hsm::Fill& fill,
                 const hsm::Drain& drain) override {
    std::vector<Block> blocks(count);
    fill(0, blocks);
    make_all_secret(blocks);
    drain(0, blocks);
    return {};
  }
  Status decrypt(const hsm::Key& key, std::size_t count, const hsm::Fill& fill,
                 const hsm::Drain& drain) override {
    return encrypt(key, count, fill, drain);
  }
  Status mac(const hsm::Key&, std::size_t count, const hsm::Messages& fill,
             const hsm::Drain& drain) override {
    std::vector<hsm::Message> messages(count);
    fill(0, messages);
    std::vector<Block> tags(count);
    make_all_secret(tags);
    drain(0, tags);
    return {};
  }
  std::vector<Error> verify_keys(std::span<const hsm::ExpectedKey>) override { return {}; }
  Result<Block> fingerprint_of(const hsm::Key&) override { return Block{}; }
  Status sign(const hsm::Key&, ByteView, MutableByteView) override { return {}; }
  Result<SecretBytes<32>> unwrap_data_key(const hsm::Key&, ByteView) override {
    return SecretBytes<32>{};
  }
  Result<SecretArray<std::uint8_t>> decrypt_oaep(const hsm::RsaPublicKey&, ByteView) override {
    return SecretArray<std::uint8_t>{};
  }
  Result<std::vector<std::uint8_t>> public_point(const hsm::Key&) override {
    return std::vector<std::uint8_t>{};
  }
  Status random(MutableByteView) override { return {}; }
  std::string description() const override { return "secrets"; }
  std::uint64_t calls() const override { return 0; }
  std::vector<hsm::KeyUse> evaluated() const override { return {}; }
  hsm::Health health() const override { return {}; }
  hsm::TokenRole role() const override { return hsm::TokenRole::kStandby; }

 private:
  const bool blocks_;
};

std::vector<keystore::KeyRow> key_rows() {
  std::vector<keystore::KeyRow> rows;
  for (const auto purpose : {KeyPurpose::kLinkage, KeyPurpose::kAgency, KeyPurpose::kRecord,
                             KeyPurpose::kAgencyXtsData, KeyPurpose::kAgencyXtsTweak})
    for (const auto algorithm : {KeyAlgorithm::kAes256, KeyAlgorithm::kHmacSha256}) {
      keystore::KeyRow row;
      row.purpose = static_cast<std::uint8_t>(purpose);
      row.algorithm = static_cast<std::uint8_t>(algorithm);
      row.version = 1;
      row.state = keystore::KeyState::kActive;
      row.fingerprint.bytes[0] = static_cast<std::uint8_t>(10 * row.purpose + row.algorithm);
      if (hsm::is_valid({purpose, algorithm, 1})) rows.push_back(row);
    }
  return rows;
}

keystore::Agency agency(keystore::AgencyNumber number, engine::MethodNumber method) {
  keystore::Agency agency;
  agency.number = number;
  agency.code = "13101" + std::to_string(number);
  keystore::AgencyVersion version;
  version.method = static_cast<std::uint8_t>(method);
  version.parameter.bytes[0] = static_cast<std::uint8_t>(number);
  agency.versions = {version};
  return agency;
}

// Everything that Symbols makes, with one kind of token and one method of linkage symbols.
void symbols_by(const std::string& name, bool blocks, engine::MethodNumber method) {
  const std::vector agencies = {agency(1, engine::MethodNumber::kCmacFfAes256),
                                agency(2, engine::MethodNumber::kHmacSha256),
                                agency(3, engine::MethodNumber::kXtsAes256)};
  keystore::GenerationRow generation;
  generation.linkage_method = static_cast<std::uint8_t>(method);
  const std::size_t kinds = blocks ? agencies.size() : 2;  // XTS needs blocks
  std::unique_ptr<Symbols> symbols;
  expect((name + ": masks").c_str(), false, [&] {
    auto opened = Symbols::open(std::make_shared<SecretToken>(blocks), key_rows(),
                                std::span(&generation, 1), std::span(agencies).first(kinds));
    check(opened.has_value(), opened ? "" : opened.error().what.c_str());
    if (opened) symbols = std::move(*opened);
  });
  if (!symbols) return;

  std::vector<std::uint64_t> codes(kItems, 24727059608);
  std::vector<std::uint16_t> counters(kItems, 1);
  std::vector<Block> linkage(kItems), others(kItems);
  std::vector<keystore::CheckValue> checks(kItems);
  std::vector<keystore::AgencyNumber> numbers(kItems);
  for (std::size_t i = 0; i < kItems; ++i)
    numbers[i] = static_cast<keystore::AgencyNumber>(1 + i % kinds);
  make_all_secret(codes);
  const auto act = [&](const char* what, const auto& call) {
    expect((name + ": " + what).c_str(), false, [&] { check(call().has_value(), what); });
  };
  act("linkage symbols and check values",
      [&] { return symbols->linkage_and_check(generation, codes, linkage, checks); });
  act("linkage symbols", [&] { return symbols->linkage(generation, codes, {}, linkage); });
  act("linkage symbols with counters",
      [&] { return symbols->linkage(generation, codes, counters, linkage); });
  act("agency symbols", [&] { return symbols->agency(1, numbers, linkage, others); });
  act("record symbols", [&] { return symbols->record(generation, linkage, others); });
  act("chained symbols", [&] { return symbols->chain(generation, linkage, checks); });
  if (blocks)
    act("symbols inverted", [&] { return symbols->invert_agency(1, 3, others, linkage); });
}

void rows_of_requests() {
  const std::vector agencies = {agency(1, engine::MethodNumber::kCmacFfAes256)};
  const auto table = daemon::AgencyTable::create(agencies);
  check(table.has_value(), "an agency table");
  const daemon::RowRules rules{.agencies = &*table};
  std::string code = "24727059608", line = "1,131011,24727059608";
  make_secret(code.data(), code.size());
  expect("a code's check digit", false, [&] {
    bool good = daemon::check_digit_agrees(code.data());
    publish(good);
    check(good, "a check digit");
  });
  make_secret(line.data() + line.size() - 11, 11);
  daemon::RequestRow row;
  // Whether each character is a digit and the check digit is right: told by the rejects. The class
  // of a character is looked up, and all ten digits lie in one line of the cache.
  expect("a row, tried: well formed or not", true, [&] {
    bool good = daemon::check_row(line, rules, row);
    publish(good);
    check(good, "a row");
  });
}

void looking_up() {
  std::vector<Block> symbols(kItems);
  std::vector<std::uint64_t> digests(kItems);
  SecretBytes<32> data_key;
  make_secret(data_key.data(), data_key.size());
  make_all_secret(symbols);
  std::shared_ptr<const keystore::LedgerKeys> keys;
  expect("keys made of the data key", false, [&] {
    auto derived = keystore::LedgerKeys::derive(data_key, Block{});
    check(derived.has_value(), "keys");
    if (derived) keys = std::move(*derived);
  });
  if (!keys) return;
  expect("digests of linkage symbols", false,
         [&] { check(keys->symbol_digests(symbols, digests).has_value(), "digests"); });
  expect("two symbols, and two check values, compared", false, [&] {
    bool same = engine::same_secret(symbols[0], symbols[1]);
    publish(same);
    keystore::CheckValue a{}, b{};
    make_secret(a), make_secret(b);
    same = engine::same_secret(a, b);
    publish(same);
  });
  // From here on it is digests: AES of the symbols under a key that never leaves the process. Their
  // order is where they lie in the index.
  std::vector<engine::KeyedRow> rows(kItems), scratch;
  for (std::size_t i = 0; i < kItems; ++i) rows[i].key = digests[i];
  expect("digests, sorted (a keyed hash; looked up by)", true,
         [&] { engine::sort_by_key(rows, scratch); });
}

void sealed_rows() {
  SecretBytes<64> key;
  std::vector<std::uint8_t> content(100, 7);
  const std::array<std::uint8_t, 4> bound{};
  const std::array<ByteView, 1> associated = {ByteView(bound)};
  make_secret(key.data(), key.size());
  make_all_secret(content);
  std::vector<std::uint8_t> sealed;
  // libcrypto asks whether the counter of CTR will overflow. It begins at the synthetic IV, which
  // lies in the file.
  expect("a row, sealed (its counter begins at what is in the file)", true, [&] {
    auto done = keystore::siv_seal(key, associated, content);
    check(done.has_value(), "sealing");
    if (done) sealed = std::move(*done);
  });
  publish_all(sealed);  // it lies in a file
  // One branch and no more: whether it authenticates, which is told.
  const auto before = VALGRIND_COUNT_ERRORS;
  expect("a row, opened: authentic or not", true, [&] {
    const auto opened = keystore::siv_open(key, associated, sealed);
    (void)opened;
  });
  check(VALGRIND_COUNT_ERRORS == before + 1, "opening a row by one branch");
}

}  // namespace

void secret_paths() {
  symbols_by("cmac", true, engine::MethodNumber::kCmacFfAes256);
  symbols_by("cmac, no ECB", false, engine::MethodNumber::kCmacFfAes256);
  symbols_by("hmac", true, engine::MethodNumber::kHmacSha256);
  rows_of_requests();
  looking_up();
  sealed_rows();
}

}  // namespace fugo::test
