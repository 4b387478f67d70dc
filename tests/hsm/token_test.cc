// The contract of Token, on real SoftHSM tokens after a real ceremony.
#include "hsm/token.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "hsm/ec_check.h"
#include "hsm/pin.h"
#include "tests/hsm/token_fixture.h"

namespace fugo::hsm::testing {
namespace {

constexpr KeyName kLinkageKey{KeyPurpose::kLinkage, KeyAlgorithm::kAes256, 1};
constexpr KeyName kXtsData{KeyPurpose::kAgencyXtsData, KeyAlgorithm::kAes256, 1};
constexpr KeyName kWrapKey{KeyPurpose::kDataWrap, KeyAlgorithm::kAes256, 1};
constexpr KeyName kJournalKey{KeyPurpose::kJournal, KeyAlgorithm::kEcP256, 1};

std::vector<ExpectedKey> expected_keys() {
  std::vector<ExpectedKey> out;
  for (const auto& key : shared_tokens().ceremony.keys) out.push_back({key.name, key.fingerprint});
  return out;
}

std::string label_of(const TokenSettings& settings) {
  return settings.uri.substr(settings.uri.find('=') + 1);
}

class TokenOfEachRole : public ::testing::TestWithParam<TokenRole> {};
INSTANTIATE_TEST_SUITE_P(Roles, TokenOfEachRole,
                         ::testing::Values(TokenRole::kIssuing, TokenRole::kLinking,
                                           TokenRole::kStandby));

TEST_P(TokenOfEachRole, HasExactlyTheKeysOfItsRole) {
  const auto token = open_shared(GetParam());
  for (const Error& fault : token->verify_keys(expected_keys())) ADD_FAILURE() << fault.message();
}

TEST_P(TokenOfEachRole, UnwrapsTheSameDataKey) {
  const auto token = open_shared(GetParam());
  const auto one = token->unwrap_data_key(find_shared(*token, kWrapKey),
                                          shared_tokens().ceremony.wrapped_data_key);
  ASSERT_TRUE(one) << one.error().message();
  const auto standby = open_shared(TokenRole::kStandby);
  const auto other = standby->unwrap_data_key(find_shared(*standby, kWrapKey),
                                              shared_tokens().ceremony.wrapped_data_key);
  ASSERT_TRUE(other);
  EXPECT_TRUE(equal_in_constant_time(one->bytes(), other->bytes()));
  EXPECT_FALSE(equal_in_constant_time(one->bytes(), SecretBytes<32>().bytes()));
}

// number is the block of item i.
Block number(std::size_t i) {
  Block block;
  store_be<std::uint64_t>(block.bytes.data() + 8, i);
  return block;
}

// macs is CMAC of the messages number(i) || 0, by a key without blocks.
std::vector<Block> macs(Token& token, const Key& key, std::size_t count) {
  std::vector<Block> out(count);
  const auto done = token.mac(
      key, count,
      [](std::size_t first, std::span<Message> to) {
        for (std::size_t i = 0; i < to.size(); ++i) to[i] = {number(first + i), Block{}};
      },
      [&](std::size_t first, std::span<const Block> from) {
        std::copy(from.begin(), from.end(), out.begin() + static_cast<std::ptrdiff_t>(first));
      });
  EXPECT_TRUE(done) << done.error().message();
  return out;
}

// Where a token has no blocks: both directions are refused, and the messages' CMAC is the same.
void expect_no_blocks(Token& issuing, Token& linking) {
  const auto nothing = [](std::size_t, auto) {};
  const Key key = find_shared(issuing, kXtsData);
  EXPECT_FALSE(key.blocks);
  const Key other = find_shared(linking, kXtsData);
  for (const auto& done :
       {issuing.encrypt(key, 1, nothing, nothing), linking.decrypt(other, 1, nothing, nothing)}) {
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::kRefused) << done.error().message();
  }
  EXPECT_TRUE(macs(issuing, key, 3000) == macs(linking, other, 3000));
}

TEST(Token, EncryptsInOneTokenAndDecryptsInAnother) {
  const auto issuing = open_shared(TokenRole::kIssuing);
  const auto linking = open_shared(TokenRole::kLinking);
  if (!abilities().blocks) return expect_no_blocks(*issuing, *linking);
  constexpr std::size_t kCount = 100'003;
  std::vector<Block> symbols(kCount), back(kCount);
  const auto encrypted = issuing->encrypt(
      find_shared(*issuing, kXtsData), kCount,
      [&](std::size_t first, std::span<Block> to) {
        for (std::size_t i = 0; i < to.size(); ++i) to[i] = number(first + i);
      },
      [&](std::size_t first, std::span<const Block> from) {
        std::copy(from.begin(), from.end(), symbols.begin() + static_cast<std::ptrdiff_t>(first));
      });
  ASSERT_TRUE(encrypted) << encrypted.error().message();
  const auto decrypted = linking->decrypt(
      find_shared(*linking, kXtsData), kCount,
      [&](std::size_t first, std::span<Block> to) {
        std::copy_n(symbols.begin() + static_cast<std::ptrdiff_t>(first), to.size(), to.begin());
      },
      [&](std::size_t first, std::span<const Block> from) {
        std::copy(from.begin(), from.end(), back.begin() + static_cast<std::ptrdiff_t>(first));
      });
  ASSERT_TRUE(decrypted) << decrypted.error().message();
  for (std::size_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(back[i], number(i)) << i;
    ASSERT_NE(symbols[i], number(i)) << i;
  }
}

TEST(Token, JournalKeySignsSoThatThePublicPointVerifies) {
  const auto token = open_shared(TokenRole::kIssuing);
  const Key key = find_shared(*token, kJournalKey);
  const auto point = token->public_point(key);
  ASSERT_TRUE(point) << point.error().message();
  EXPECT_EQ(*point, shared_tokens().ceremony.journal_public_key);
  SecretBytes<64> signature;
  ASSERT_TRUE(token->sign(key, as_bytes("a checkpoint"), signature.bytes()));
  EXPECT_TRUE(verify_p256(*point, as_bytes("a checkpoint"), signature.bytes()).value());
  EXPECT_FALSE(verify_p256(*point, as_bytes("A checkpoint"), signature.bytes()).value());
}

// The same answers whatever the size of a call and the number of threads, from eight callers.
TEST(Token, EightCallersAtOnceGetTheSameAnswers) {
  constexpr std::size_t kCount = 30'000;
  const auto evaluate = [](Token& token, const Key& key) {
    if (!key.blocks) return macs(token, key, kCount / 10);
    std::vector<Block> out(kCount);
    const auto done = token.encrypt(
        key, kCount,
        [](std::size_t first, std::span<Block> to) {
          for (std::size_t i = 0; i < to.size(); ++i) {
            to[i] = Block{};
            store_be<std::uint64_t>(to[i].bytes.data(), first + i);
          }
        },
        [&](std::size_t first, std::span<const Block> from) {
          std::copy(from.begin(), from.end(), out.begin() + static_cast<std::ptrdiff_t>(first));
        });
    EXPECT_TRUE(done) << done.error().message();
    return out;
  };
  auto settings = shared_tokens().issuing;
  settings.max_bytes_per_call = 48;  // one block between two known ones
  settings.threads = 1;
  const auto smallest = *Token::open(settings);
  const auto right = evaluate(*smallest, find_shared(*smallest, kLinkageKey));
  EXPECT_GE(smallest->calls(), right.size());
  const auto token = open_shared(TokenRole::kIssuing);
  const Key key = find_shared(*token, kLinkageKey);
  std::vector<std::thread> callers;
  std::vector<std::vector<Block>> results(8);
  for (auto& result : results)
    callers.emplace_back([&, to = &result] { *to = evaluate(*token, key); });
  for (auto& caller : callers) caller.join();
  for (const auto& result : results) EXPECT_TRUE(result == right);
}

TEST(Token, SaysWhatIsWrongWhenItCannotBeOpened) {
  const auto error_of = [](TokenSettings settings) {
    const auto opened = Token::open(settings);
    EXPECT_FALSE(opened);
    return opened ? Error{} : opened.error();
  };
  const auto& good = shared_tokens().issuing;
  auto settings = good;
  settings.module = "/nowhere/pkcs11.so";
  EXPECT_EQ(error_of(settings).code, ErrorCode::kHsm);
  settings = good;
  settings.uri = "pkcs11:token=fugo-nobody";
  EXPECT_EQ(error_of(settings).code, ErrorCode::kHsm);
  EXPECT_NE(error_of(settings).hint.find(label_of(good)), std::string::npos);
  settings.uri = "pkcs11:";
  EXPECT_EQ(error_of(settings).code, ErrorCode::kUsage);
  settings.uri = "fugo-issuing";
  EXPECT_EQ(error_of(settings).code, ErrorCode::kUsage);
  settings.uri = "pkcs11:token=fugo-issuing?pin-value=hush";
  EXPECT_EQ(error_of(settings).code, ErrorCode::kUsage);
  EXPECT_EQ(error_of(settings).message().find("hush"), std::string::npos);
  settings = good;
  settings.max_bytes_per_call = 100;
  EXPECT_EQ(error_of(settings).code, ErrorCode::kUsage);
}

// SoftHSM writes its token's file anew at each login: another process that looks in that moment
// sees no token, and must not give up at once.
TEST(Token, ATokenThatIsAwayForAMomentIsOpened) {
  const auto settings = shared_tokens().issuing;
  // NSS looks at its own when the library is initialised, and holds them open from then on.
  const auto tokens = shared_directory() / (abilities().in_files ? "tokens" : label_of(settings));
  const auto hidden = shared_directory() / "hidden";
  std::filesystem::rename(tokens, hidden);
  std::filesystem::create_directory(tokens);
  std::thread giver([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    std::filesystem::remove(tokens);
    std::filesystem::rename(hidden, tokens);
  });
  const auto opened = Token::open(settings);
  giver.join();
  EXPECT_TRUE(opened) << opened.error().message();
}

TEST(Token, AWrongPinIsNamed) {
  auto settings = shared_tokens().issuing;
  settings.pin_file = shared_directory() / "wrong.pin";
  ASSERT_TRUE(make_pin_file(settings.pin_file));
  const auto opened = Token::open(settings);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kHsm);
  EXPECT_NE(opened.error().message().find("CKR_PIN_INCORRECT"), std::string::npos);
}

TEST(Token, RandomIsRandomAndTheDescriptionNamesTheToken) {
  const auto token = open_shared(TokenRole::kIssuing);
  Block one, two;
  ASSERT_TRUE(token->random(one.bytes) && token->random(two.bytes));
  EXPECT_NE(one, two);
  EXPECT_NE(token->description().find(label_of(shared_tokens().issuing)), std::string::npos);
}

TEST(Token, HealthCountsCallsErrorsAndTheirDuration) {
  const auto token = open_shared(TokenRole::kIssuing);
  const auto count = [&](const std::string& function) {
    std::uint64_t calls = 0;
    for (const auto& row : token->health().functions)
      if (row.function == function) calls = row.count;
    return calls;
  };
  const std::uint64_t before = count("C_GenerateRandom");
  Block block;
  ASSERT_TRUE(token->random(block.bytes));
  EXPECT_EQ(count("C_GenerateRandom"), before + 1);
  const Health health = token->health();
  EXPECT_EQ(health.state, TokenState::kOk);
  std::uint64_t in_buckets = 0, by_function = 0;
  for (const std::uint64_t bucket : health.latency) in_buckets += bucket;
  for (const auto& row : health.functions) by_function += row.count;
  EXPECT_EQ(in_buckets, health.calls);
  EXPECT_EQ(by_function, health.calls);
  EXPECT_GT(health.total_time.count(), 0);
  EXPECT_EQ(health.oldest_call.count(), 0);
}

TEST(Token, LinkageKeyIsNotForTheLinkingToken) {
  const auto linking = open_shared(TokenRole::kLinking);
  const auto found = linking->find_key(kLinkageKey, std::nullopt);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kRefused);
}

}  // namespace
}  // namespace fugo::hsm::testing
