#include "tests/hsm/token_fixture.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string_view>

#include "base/file.h"
#include "hsm/find_token.h"
#include "hsm/recovery_package.h"
#include "hsm/session.h"
#include "hsm/setup.h"

namespace fugo::hsm::testing {
namespace {

constexpr int kNssTokens = 12;  // of a program; each takes its time when the library starts

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

// scratch_tokens is how many of them were made.
int& scratch_tokens() {
  static int count = 0;
  return count;
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
  // Each attribute of a key is encrypted by the PIN: ten thousand rounds for each are not for
  // tests.
  ::setenv("NSS_MAX_MP_PBE_ITERATION_COUNT", "1", 1);
  std::string tokens;
  for (int i = 1; i <= kNssTokens; ++i) {
    const auto directory = shared_directory() / fmt::format("nss-{}", i);
    std::filesystem::create_directory(directory);
    tokens += fmt::format("0x{:x}=[configDir='sql:{}' tokenDescription='nss-{}' flags=''] ", i + 3,
                          directory.string(), i);
  }
  ::setenv("FUGO_FAULT_REAL_MODULE", kNssSoftoken, 1);
  ::setenv("FUGO_FAULT_LIBRARY_PARAMETERS",
           fmt::format("configDir='' certPrefix='' keyPrefix='' secmod='' "
                       "flags=readOnly,noCertDB,noModDB,forceOpen,optimizeSpace tokens=<{}>",
                       tokens)
               .c_str(),
           1);
  return path;
}

// softhsm_token and nss_token are what a token is called, whether it is there or not.
ScratchToken softhsm_token(const std::string& label, TokenRole role) {
  ScratchToken token;
  token.so_pin_file = shared_directory() / (label + ".so-pin");
  // The same from the beginning: a library that others have initialised is not ours to finalize.
  token.settings.module = abilities().blocks ? kSoftHsm : use_module(Device::kWithoutEcb);
  token.settings.uri = "pkcs11:token=" + label;
  token.settings.pin_file = shared_directory() / (label + ".pin");
  token.settings.softhsm_conf = shared_conf();
  token.settings.role = role;
  return token;
}

ScratchToken made_softhsm_token(const std::string& label, TokenRole role) {
  auto token = softhsm_token(label, role);
  must(make_pin_file(token.so_pin_file));
  must(make_pin_file(token.settings.pin_file));
  must(initialise_token(token.settings.module, shared_conf(), label, token.so_pin_file,
                        token.settings.pin_file));
  return token;
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

ScratchToken nss_token(int number, const std::string& label, TokenRole role) {
  if (number > kNssTokens) std::abort();
  ScratchToken token;
  token.so_pin_file = shared_directory() / (label + ".so-pin");
  token.settings.module = use_module(Device::kNss);
  token.settings.uri = fmt::format("pkcs11:token=nss-{}", number);
  token.settings.pin_file = shared_directory() / (label + ".pin");
  token.settings.role = role;
  token.settings.allowed_mechanisms = abilities().keeps_allowed_mechanisms;
  return token;
}

ScratchToken made_nss_token(int number, const std::string& label, TokenRole role) {
  auto token = nss_token(number, label, role);
  must(make_pin_file(token.so_pin_file));
  must(make_pin_file(token.settings.pin_file));
  must(initialise_nss(token.settings, fmt::format("nss-{}", number)));
  return token;
}

// The tokens of the shared set; of NSS they are the first ones.
struct Member {
  const char* label;
  TokenRole role;
  TokenSettings TokenSet::*settings;
};
constexpr Member kMembers[] = {{"fugo-issuing", TokenRole::kIssuing, &TokenSet::issuing},
                               {"fugo-linking", TokenRole::kLinking, &TokenSet::linking},
                               {"fugo-standby", TokenRole::kStandby, &TokenSet::standby}};
constexpr int kMembersCount = std::size(kMembers);

ScratchToken member(const Member& one, bool make) {
  if (device() == Device::kNss) {
    const int number = static_cast<int>(&one - kMembers) + 1;
    return make ? made_nss_token(number, one.label, one.role)
                : nss_token(number, one.label, one.role);
  }
  return make ? made_softhsm_token(one.label, one.role) : softhsm_token(one.label, one.role);
}

// empty_set has everything but the ceremony's result.
TokenSet empty_set() {
  TokenSet set;
  set.names = all_key_names();
  set.recovery_public_key = shared_directory() / "recovery/recovery-public.pem";
  set.recovery_private_key = shared_directory() / "recovery/recovery-private.pem";
  set.recovery_package = shared_directory() / "recovery.json";
  return set;
}
constexpr const char* kDataKeyFile = "wrapped-data-key";

TokenSet make_tokens() {
  auto set = empty_set();
  std::vector<CeremonyTarget> targets;
  if (!abilities().security_officer) {
    const auto source = made_softhsm_token("fugo-source", TokenRole::kStandby);
    targets.push_back({source.settings, source.so_pin_file});
  }
  for (const Member& one : kMembers) {
    const auto token = member(one, true);
    set.*one.settings = token.settings;
    targets.push_back({token.settings, token.so_pin_file});
  }
  must(make_recovery_key_pair(shared_directory() / "recovery"));
  set.ceremony =
      must(run_ceremony(targets, set.names, set.recovery_public_key, set.recovery_package));
  must(write_durably(shared_directory() / kDataKeyFile, set.ceremony.wrapped_data_key, 0600));
  return set;
}

// made_before is the set as its files say, which were copied to shared_directory().
TokenSet made_before() {
  auto set = empty_set();
  for (const Member& one : kMembers) set.*one.settings = member(one, false).settings;
  const auto package = must(read_recovery_package(set.recovery_package));
  for (const RecoveryEntry& entry : package.keys) {
    set.ceremony.keys.push_back({entry.name, entry.fingerprint});
    if (entry.name.purpose == KeyPurpose::kJournal)
      set.ceremony.journal_public_key = entry.public_point;
  }
  const auto data_key = must(read_small(shared_directory() / kDataKeyFile, 1000));
  set.ceremony.wrapped_data_key = {data_key.begin(), data_key.end()};
  return set;
}

void copy_all(const std::filesystem::path& from, const std::filesystem::path& to) {
  namespace fs = std::filesystem;
  for (const auto& entry : fs::directory_iterator(from)) {
    const auto name = entry.path().filename();
    // The module is called by its path, and the configuration has one inside.
    if (name.extension() == ".so" || name.extension() == ".conf") continue;
    fs::copy(entry.path(), to / name,
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  }
}

// Test programs of one run keep a set for one another: a ceremony makes RSA keys, which takes
// seconds.
TokenSet tokens_of_this_run() {
  const char* const folder = std::getenv("FUGO_TEST_SITES");
  if (folder == nullptr) return make_tokens();
  const char* const name = std::getenv("FUGO_TEST_DEVICE");
  const auto kept = std::filesystem::path(folder) / fmt::format("tokens-{}", name ? name : "");
  const int lock = ::open((kept.string() + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0 || ::flock(lock, LOCK_EX) != 0) std::abort();
  TokenSet set;
  if (std::filesystem::exists(kept)) {
    (void)shared_conf();  // makes the directory of tokens
    copy_all(kept, shared_directory());
    finalize_all();  // a library that is in use does not look for new tokens
    set = made_before();
  } else {
    set = make_tokens();
    if (scratch_tokens() == 0) {  // else there are others among them
      finalize_all();
      const auto part = kept.string() + ".new";
      std::filesystem::create_directory(part);
      copy_all(shared_directory(), part);
      std::filesystem::rename(part, kept);
    }
  }
  ::close(lock);
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

const Abilities& abilities() {
  static const Abilities of_devices[] = {
      {},
      {.blocks = false, .fast_signing = false},
      {.security_officer = false,
       .keeps_allowed_mechanisms = false,
       .keeps_unwrap_template = false,
       .keeps_copies = false,
       .keeps_unextractable = false,
       .keeps_uses = false,
       .keeps_doubles = false,
       .keeps_open_secrets = false,
       .tells_local = false,
       .fast_signing = false,
       .fast_start = false,
       .in_files = false},
  };
  return of_devices[static_cast<std::size_t>(device())];
}

KeyUses uses_here(KeyAlgorithm algorithm, const KeyUses& uses) {
  return abilities().blocks ? uses : by_cmac(algorithm, uses);
}

KeyUses uses_here(const KeyName& name, TokenRole role) {
  return uses_here(name.algorithm, placement_of(name, role).uses);
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
  const int number = ++scratch_tokens();
  if (device() == Device::kNss) return made_nss_token(kMembersCount + number, label, role);
  return made_softhsm_token(label, role);
}

ScratchToken make_source_token(const std::string& label, TokenRole role) {
  if (abilities().security_officer) return make_scratch_token(label, role);
  ++scratch_tokens();
  return made_softhsm_token(label, role);
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
  static const TokenSet set = tokens_of_this_run();
  return set;
}

std::shared_ptr<Token> open_shared(TokenRole role) {
  return must(Token::open(shared_tokens().settings(role)));
}

Key find_shared(Token& token, const KeyName& name) {
  return must(token.find_key(name, shared_tokens().fingerprint(name)));
}

}  // namespace fugo::hsm::testing
