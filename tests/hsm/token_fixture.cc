#include "tests/hsm/token_fixture.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "hsm/setup.h"

namespace fugo::hsm::testing {
namespace {

// must unwraps a result: without tokens no test of the program means anything.
template <typename T>
T must(Result<T> result) {
  if (!result) {
    fmt::print(stderr, "test tokens: {}\n", result.error().message());
    std::abort();
  }
  return std::move(*result);
}
void must(const Status& status) {
  if (status) return;
  fmt::print(stderr, "test tokens: {}\n", status.error().message());
  std::abort();
}

std::unique_ptr<ScratchDirectory>& directory() {
  static std::unique_ptr<ScratchDirectory> made;
  return made;
}

// SoftHSM crashes when it is called from static destructors: finalize while main() still runs.
class TokenEnvironment : public ::testing::Environment {
 public:
  void TearDown() override {
    finalize_all();
    directory().reset();
  }
};
const auto* const kEnvironment = ::testing::AddGlobalTestEnvironment(new TokenEnvironment);

TokenSet make_tokens() {
  TokenSet set;
  std::vector<CeremonyTarget> targets;
  for (const auto& [label, role, settings] :
       {std::tuple{"fugo-issuing", TokenRole::kIssuing, &TokenSet::issuing},
        std::tuple{"fugo-linking", TokenRole::kLinking, &TokenSet::linking},
        std::tuple{"fugo-standby", TokenRole::kStandby, &TokenSet::standby}}) {
    auto token = make_scratch_token(label, role);
    set.*settings = token.settings;
    targets.push_back({token.settings, token.so_pin_file});
  }
  set.names = all_key_names();
  const auto recovery = must(make_recovery_key_pair(shared_directory() / "recovery"));
  set.recovery_public_key = recovery.public_key;
  set.recovery_private_key = recovery.private_key;
  set.recovery_package = shared_directory() / "recovery.json";
  set.ceremony =
      must(run_ceremony(targets, set.names, set.recovery_public_key, set.recovery_package));
  return set;
}

}  // namespace

ScratchDirectory::ScratchDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "fugo-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) std::abort();
  path_ = name;
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

const std::filesystem::path& shared_directory() {
  if (!directory()) directory() = std::make_unique<ScratchDirectory>();
  return directory()->path();
}

const std::filesystem::path& shared_conf() {
  static const std::filesystem::path conf = [] {
    auto path = shared_directory() / "softhsm2.conf";
    must(write_softhsm_conf(path, shared_directory() / "tokens"));
    return path;
  }();
  return conf;
}

ScratchToken make_scratch_token(const std::string& label, TokenRole role) {
  ScratchToken token;
  token.so_pin_file = shared_directory() / (label + ".so-pin");
  token.settings.module = kSoftHsm;
  token.settings.uri = "pkcs11:token=" + label;
  token.settings.pin_file = shared_directory() / (label + ".pin");
  token.settings.softhsm_conf = shared_conf();
  token.settings.role = role;
  must(make_pin_file(token.so_pin_file));
  must(make_pin_file(token.settings.pin_file));
  must(
      initialise_token(kSoftHsm, shared_conf(), label, token.so_pin_file, token.settings.pin_file));
  return token;
}

std::vector<KeyName> all_key_names() {
  std::vector<KeyName> names;
  for (const auto purpose :
       {KeyPurpose::kLinkage, KeyPurpose::kAgency, KeyPurpose::kAgencyXtsData,
        KeyPurpose::kAgencyXtsTweak, KeyPurpose::kRecord, KeyPurpose::kDataWrap})
    names.push_back({purpose, KeyAlgorithm::kAes256, 1});
  for (const auto purpose : {KeyPurpose::kLinkage, KeyPurpose::kAgency, KeyPurpose::kRecord})
    names.push_back({purpose, KeyAlgorithm::kHmacSha256, 1});
  names.push_back({KeyPurpose::kJournal, KeyAlgorithm::kEcP256, 1});
  return names;
}

const TokenSettings& TokenSet::settings(TokenRole role) const {
  return role == TokenRole::kIssuing ? issuing : role == TokenRole::kLinking ? linking : standby;
}

Block TokenSet::fingerprint(const KeyName& name) const {
  for (const CeremonyKey& key : ceremony.keys)
    if (key.name == name) return key.fingerprint;
  std::abort();
}

const TokenSet& shared_tokens() {
  static const TokenSet set = make_tokens();
  return set;
}

std::shared_ptr<Token> open_shared(TokenRole role) {
  return must(Token::open(shared_tokens().settings(role)));
}

Key find_shared(Token& token, const KeyName& name) {
  return must(token.find_key(name, shared_tokens().fingerprint(name)));
}

}  // namespace fugo::hsm::testing
