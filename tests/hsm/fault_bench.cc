#include "tests/hsm/fault_bench.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "hsm/ec_check.h"
#include "tests/hsm/token_fixture.h"

namespace fugo::hsm::testing {
namespace {

constexpr KeyName kLinkage{KeyPurpose::kLinkage, KeyAlgorithm::kAes256, 1};
constexpr KeyName kHmac{KeyPurpose::kLinkage, KeyAlgorithm::kHmacSha256, 1};
constexpr KeyName kXtsData{KeyPurpose::kAgencyXtsData, KeyAlgorithm::kAes256, 1};
constexpr KeyName kWrap{KeyPurpose::kDataWrap, KeyAlgorithm::kAes256, 1};
constexpr KeyName kJournal{KeyPurpose::kJournal, KeyAlgorithm::kEcP256, 1};
constexpr std::size_t kItems = 40;

std::vector<std::uint8_t> bytes_of(std::span<const Block> blocks) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(blocks.data());
  return {data, data + blocks.size_bytes()};
}

Block number(std::size_t i) {
  Block block;
  store_be<std::uint64_t>(block.bytes.data(), i);
  return block;
}

// Drained collects what comes out, and how much of it.
struct Drained {
  std::vector<Block> blocks = std::vector<Block>(kItems);
  std::size_t count = 0;
  void take(std::size_t first, std::span<const Block> some) {
    std::copy(some.begin(), some.end(), blocks.begin() + static_cast<std::ptrdiff_t>(first));
    count += some.size();
  }
  // answer: nothing may have come out of an evaluation that failed in its only call.
  Answer answer(const Status& done) const {
    if (!done && count != 0)
      return fail(ErrorCode::kInternal, "something was drained of a call that failed");
    FUGO_TRY(done);
    if (count != kItems) return fail(ErrorCode::kInternal, "not everything was drained");
    return bytes_of(blocks);
  }
};

const std::vector<std::uint8_t> kGood = {'g', 'o', 'o', 'd'};

}  // namespace

FaultBench::FaultBench(const std::function<void(TokenSettings&)>& change)
    : faults_(shared_directory() / "faults"), settings_(shared_tokens().standby) {
  finalize_all();
  faults_.use();
  settings_.module = fault_module();
  settings_.threads = 1;
  settings_.first_pause = std::chrono::milliseconds(1);
  settings_.longest_pause = std::chrono::milliseconds(2);
  if (change) change(settings_);
  auto opened = Token::open(settings_);
  if (!opened) std::abort();
  token_ = *opened;
  add_symbol_acts();
  add_secret_acts();
  add_key_acts();
}

void FaultBench::add_symbol_acts() {
  const Key hmac = find_shared(*token_, kHmac);
  const Key journal = find_shared(*token_, kJournal);
  if (abilities().blocks) {
    const Key xts = find_shared(*token_, kXtsData);
    add("encrypt", [=, this] { return bulk(xts, false); });
    add("decrypt", [=, this] { return bulk(xts, true); });
  } else {
    const Key linkage = find_shared(*token_, kLinkage);
    add("mac cmac", [=, this] { return macs(linkage); });
  }
  add("mac", [=, this] { return macs(hmac); });
  add("sign", [=, this]() -> Answer {
    SecretBytes<64> signature;
    FUGO_TRY(token_->sign(journal, as_bytes("checkpoint"), signature.bytes()));
    const auto right = verify_p256(shared_tokens().ceremony.journal_public_key,
                                   as_bytes("checkpoint"), signature.bytes());
    if (!*right) return fail(ErrorCode::kInternal, "a signature that does not verify");
    return kGood;
  });
  add("sign hmac", [=, this]() -> Answer {
    std::vector<std::uint8_t> tag(16);  // as much as a fingerprint proves
    FUGO_TRY(token_->sign(hmac, as_bytes("message"), tag));
    return tag;
  });
}

void FaultBench::add_secret_acts() {
  const Key wrap = *token_->find_key(kWrap, std::nullopt);
  add("unwrap", [=, this]() -> Answer {
    FUGO_ASSIGN(const auto key,
                token_->unwrap_data_key(wrap, shared_tokens().ceremony.wrapped_data_key));
    std::vector<std::uint8_t> bytes(key.data(), key.data() + key.size());
    // A device that gives the same wrong key each time is found by the ledger, which authenticates
    // what it opens with it.
    if (data_key_.empty()) data_key_ = bytes;
    if (bytes != data_key_) return fail(ErrorCode::kRefused, "no ledger opens with this data key");
    return bytes;
  });
  add("random", [this] { return random(); });
}

void FaultBench::add_key_acts() {
  const Key linkage = find_shared(*token_, kLinkage);
  add("find_key", [this]() -> Answer {
    FUGO_TRY(token_->find_key(kLinkage, shared_tokens().fingerprint(kLinkage)));
    return kGood;
  });
  add("find_key journal", [this]() -> Answer {
    FUGO_ASSIGN(const Key key, token_->find_key(kJournal, std::nullopt));
    return token_->public_point(key);
  });
  add("verify_keys", [this]() -> Answer {
    const std::vector<ExpectedKey> keys = {{kLinkage, shared_tokens().fingerprint(kLinkage)},
                                           {kJournal, shared_tokens().fingerprint(kJournal)}};
    auto wrong = token_->verify_keys(keys);
    if (!wrong.empty()) return tl::unexpected<Error>(std::move(wrong.front()));
    return kGood;
  });
  add("fingerprint_of", [=, this]() -> Answer {
    FUGO_ASSIGN(const Block block, token_->fingerprint_of(linkage));
    return bytes_of({&block, 1});
  });
  add("open", [this]() -> Answer {
    FUGO_ASSIGN(const auto other, Token::open(settings_));
    const std::string description = other->description();
    return std::vector<std::uint8_t>(description.begin(), description.end());
  });
}

const Act& FaultBench::act(const std::string& name) const {
  const auto found =
      std::find_if(acts_.begin(), acts_.end(), [&](const Act& act) { return act.name == name; });
  if (found == acts_.end()) std::abort();
  return *found;
}

const Act& FaultBench::symbols() const { return act(abilities().blocks ? "encrypt" : "mac cmac"); }

std::string FaultBench::symbol_function() { return abilities().blocks ? "C_Encrypt" : "C_Sign"; }

// A known message stands at both ends.
std::size_t FaultBench::symbol_calls() { return abilities().blocks ? 1 : kItems + 2; }

void FaultBench::add(std::string name, std::function<Answer()> run) {
  auto right = run();
  if (!right) std::abort();
  acts_.push_back({std::move(name), std::move(run), std::move(*right)});
}

Answer FaultBench::bulk(const Key& key, bool decrypt) {
  Drained drained;
  const auto fill = [](std::size_t first, std::span<Block> to) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = number(first + i);
  };
  const auto drain = [&](std::size_t first, std::span<const Block> from) {
    drained.take(first, from);
  };
  return drained.answer(decrypt ? token_->decrypt(key, kItems, fill, drain)
                                : token_->encrypt(key, kItems, fill, drain));
}

Answer FaultBench::macs(const Key& key) {
  Drained drained;
  return drained.answer(token_->mac(
      key, kItems,
      [](std::size_t first, std::span<Message> to) {
        for (std::size_t i = 0; i < to.size(); ++i) to[i] = {number(1), number(first + i)};
      },
      [&](std::size_t first, std::span<const Block> from) { drained.take(first, from); }));
}

Answer FaultBench::random() {
  std::vector<std::uint8_t> bytes(48);
  FUGO_TRY(token_->random(bytes));
  if (bytes == last_random_) return fail(ErrorCode::kInternal, "random bytes came twice");
  for (std::size_t at = 0; at < bytes.size(); at += 16)
    if (std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                    bytes.begin() + static_cast<std::ptrdiff_t>(at + 16),
                    [](std::uint8_t byte) { return byte == 0; }))
      return fail(ErrorCode::kInternal, "random bytes that are zero");
  last_random_ = bytes;
  return kGood;
}

Status FaultBench::works_again(const Act& act) {
  // Far more often than a recovery is not due.
  for (int tries = 0; tries < 200; ++tries) {
    const auto answer = act.run();
    if (answer && *answer == act.right) return {};
    if (answer) return fail(ErrorCode::kInternal, "a wrong answer");
    if (tries == 199) return tl::unexpected<Error>(answer.error());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return {};
}

}  // namespace fugo::hsm::testing
