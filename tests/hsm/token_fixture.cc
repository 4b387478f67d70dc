#include "tests/hsm/token_fixture.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string_view>

#include "hsm/find_token.h"
#include "hsm/session.h"
#include "hsm/setup.h"

namespace fugo::hsm::testing {
namespace {

constexpr int kNssTokens = 32;

std::string read_text(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

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

ScratchToken make_softhsm_token(const std::string& label, TokenRole role) {
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

// use_module has the fault module, which reads its environment when it is loaded, be `device()`.
std::filesystem::path use_module(Device device) {
  const auto name = device == Device::kNss ? "nss.so" : "without-ecb.so";
  const auto path = shared_directory() / name;
  if (std::filesystem::exists(path)) return path;
  std::filesystem::copy_file(FUGO_FAULT_MODULE, path);
  if (device == Device::kWithoutEcb) {
    ::setenv("FUGO_FAULT_WITHOUT_ECB", "1", 1);
    return path;
  }
  std::string tokens;
  for (int i = 1; i <= kNssTokens; ++i) {
    const auto directory = shared_directory() / fmt::format("nss-{}", i);
    std::filesystem::create_directory(directory);
    tokens += fmt::format("0x{:x}=[configDir='sql:{}' tokenDescription='nss-{}' flags=''] ", i + 3,
                          directory.string(), i);
  }
  ::setenv("FUGO_FAULT_REAL_MODULE", "libsoftokn3.so", 1);
  ::setenv("FUGO_FAULT_LIBRARY_PARAMETERS",
           fmt::format("configDir='' certPrefix='' keyPrefix='' secmod='' "
                       "flags=readOnly,noCertDB,noModDB,forceOpen,optimizeSpace tokens=<{}>",
                       tokens)
               .c_str(),
           1);
  return path;
}

// NSS has its user PIN set by a security officer without a PIN, once. It calls a token initialised
// from then on, so it is found by its label here.
Status initialise_nss(const TokenSettings& settings, const std::string& label) {
  FUGO_ASSIGN(auto module, Module::open(settings.module, {}));
  CK_FUNCTION_LIST* const functions = module->functions();
  CK_SLOT_ID slots[2 * kNssTokens];
  CK_ULONG count = std::size(slots);
  FUGO_CK(functions, C_GetSlotList, CK_TRUE, slots, &count);
  for (CK_ULONG i = 0; i < count; ++i) {
    CK_TOKEN_INFO info{};
    FUGO_CK(functions, C_GetTokenInfo, slots[i], &info);
    if (padded_text(info.label, sizeof(info.label)) != label) continue;
    FUGO_ASSIGN(const auto session, Session::open(module, slots[i], Session::Access::kReadWrite));
    auto pin = read_text(settings.pin_file);
    CK_UTF8CHAR none = 0;
    FUGO_CK(functions, C_Login, session.handle(), CKU_SO, &none, 0);
    FUGO_CK(functions, C_InitPIN, session.handle(), reinterpret_cast<CK_UTF8CHAR*>(pin.data()),
            pin.size());
    FUGO_CK(functions, C_Logout, session.handle());
    return {};
  }
  return fail(ErrorCode::kHsm, "NSS has no token of that name", label);
}

TokenSet make_tokens() {
  TokenSet set;
  std::vector<CeremonyTarget> targets;
  if (device() == Device::kNss) {
    const auto source = make_softhsm_token("fugo-source", TokenRole::kStandby);
    targets.push_back({source.settings, source.so_pin_file});
  }
  for (const auto& [label, role, settings] :
       {std::tuple{"fugo-issuing", TokenRole::kIssuing, &TokenSet::issuing},
        std::tuple{"fugo-linking", TokenRole::kLinking, &TokenSet::linking},
        std::tuple{"fugo-standby", TokenRole::kStandby, &TokenSet::standby}}) {
    auto token = make_scratch_token(label, role);
    set.*settings = token.settings;
    targets.push_back({token.settings, token.so_pin_file});
  }
  set.names = all_key_names();
  // NSS unwraps no private EC key without an attribute of its own, CKA_NSS_DB.
  if (device() == Device::kNss) set.names.pop_back();
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

Device device() {
  const char* name = std::getenv("FUGO_TEST_DEVICE");
  if (name == nullptr || std::string_view(name) == "softhsm") return Device::kPlain;
  if (std::string_view(name) == "without-ecb") return Device::kWithoutEcb;
  if (std::string_view(name) == "nss") return Device::kNss;
  std::abort();
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
  if (device() == Device::kNss) {
    static int used = 0;
    if (++used > kNssTokens) std::abort();
    ScratchToken token;
    token.settings.module = use_module(Device::kNss);
    const std::string name = fmt::format("nss-{}", used);
    token.settings.uri = "pkcs11:token=" + name;
    token.settings.pin_file = shared_directory() / (label + ".pin");
    token.settings.role = role;
    token.settings.allowed_mechanisms = false;
    must(make_pin_file(token.settings.pin_file));
    must(initialise_nss(token.settings, name));
    return token;
  }
  auto token = make_softhsm_token(label, role);
  if (device() == Device::kWithoutEcb) token.settings.module = use_module(Device::kWithoutEcb);
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
