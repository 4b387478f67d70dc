#include "scratch_token.h"

#include <atomic>
#include <stdexcept>
#include <thread>

#include "hsm/attributes.h"
#include "hsm/find_token.h"
#include "hsm/pin.h"
#include "hsm/session.h"
#include "oracles.h"
#include "tests/hsm/token_fixture.h"

namespace fugo::testing {
namespace {

template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

void must_ck(CK_RV rv, const char* function) {
  if (rv != CKR_OK) throw std::runtime_error(std::string(function) + " failed");
}

hsm::Session open_session(const hsm::TokenSettings& settings) {
  const auto module = must(hsm::Module::open(settings.module, settings.softhsm_conf));
  const auto found = must(hsm::find_token(*module, settings.uri));
  auto session = must(hsm::Session::open(module, found.slot, hsm::Session::Access::kReadWrite));
  auto pin = must(hsm::Pin::read(settings.pin_file));
  must(session.login(CKU_USER, pin));
  return session;
}

void import_key(const hsm::Session& session, const ImportedKey& key, const hsm::KeyUses& uses) {
  hsm::Template made;
  made.number(CKA_CLASS, hsm::class_of(key.name.algorithm))
      .number(CKA_KEY_TYPE, hsm::type_of(key.name.algorithm))
      .bytes(CKA_LABEL, as_bytes(hsm::key_label(key.name)))
      .bytes(CKA_ID, hsm::key_id(key.name))
      .bytes(CKA_VALUE, key.value);
  const auto mechanisms = hsm::mechanisms_of(key.name.algorithm, uses);
  if (hsm::testing::abilities().keeps_allowed_mechanisms) made.mechanisms(mechanisms);
  for (const auto& rule : hsm::flag_rules(key.name.algorithm, uses))
    made.flag(rule.type, rule.value);
  CK_OBJECT_HANDLE object = 0;
  must_ck(session.functions()->C_CreateObject(session.handle(), made.data(), made.size(), &object),
          "C_CreateObject");
}

keystore::KeyRow row_of(const ImportedKey& key) {
  keystore::KeyRow row;
  row.purpose = static_cast<std::uint8_t>(key.name.purpose);
  row.algorithm = static_cast<std::uint8_t>(key.name.algorithm);
  row.version = key.name.version;
  row.state = keystore::KeyState::kActive;
  row.label = hsm::key_label(key.name);
  row.fingerprint = key.name.algorithm == hsm::KeyAlgorithm::kAes256
                        ? OpenSslCmac(key.value)(hsm::kFingerprintInput.bytes)
                        : OpenSslHmac(key.value)(hsm::kFingerprintInput.bytes);
  return row;
}

}  // namespace

ScratchToken::ScratchToken(hsm::TokenRole role, const std::vector<ImportedKey>& keys,
                           std::size_t max_bytes_per_call) {
  static std::atomic<int> counter{0};
  const std::string label = "scratch-" + std::to_string(++counter);
  settings_ = hsm::testing::make_scratch_token(label, role).settings;
  settings_.max_bytes_per_call = max_bytes_per_call;
  const hsm::Session session = open_session(settings_);
  for (const auto& key : keys) {
    rows_.push_back(row_of(key));
    const auto placement = hsm::placement_of(key.name, role);
    if (placement.present) import_key(session, key, hsm::testing::uses_here(key.name, role));
  }
  token_ = must(hsm::Token::open(settings_));
}

void ScratchToken::cmac(const std::vector<std::uint8_t>& key, std::size_t count,
                        std::size_t threads,
                        const std::function<void(std::size_t, std::uint8_t*)>& message,
                        const std::function<void(std::size_t, const Block&)>& tag) const {
  const auto work = [&](std::size_t first, std::size_t last) {
    const hsm::Session session = open_session(settings_);
    hsm::Template made;
    made.number(CKA_CLASS, CKO_SECRET_KEY)
        .number(CKA_KEY_TYPE, CKK_AES)
        .bytes(CKA_VALUE, key)
        .flag(CKA_TOKEN, false)
        .flag(CKA_SIGN, true);
    CK_FUNCTION_LIST* const functions = session.functions();
    CK_OBJECT_HANDLE object = 0;
    must_ck(functions->C_CreateObject(session.handle(), made.data(), made.size(), &object),
            "C_CreateObject");
    CK_MECHANISM mechanism{CKM_AES_CMAC, nullptr, 0};
    for (std::size_t i = first; i < last; ++i) {
      std::uint8_t bytes[32];
      Block out;
      CK_ULONG size = sizeof out;
      message(i, bytes);
      must_ck(functions->C_SignInit(session.handle(), &mechanism, object), "C_SignInit");
      must_ck(functions->C_Sign(session.handle(), bytes, sizeof bytes, out.bytes.data(), &size),
              "C_Sign");
      tag(i, out);
    }
  };
  std::vector<std::thread> workers;
  for (std::size_t t = 0; t < threads; ++t)
    workers.emplace_back(work, count * t / threads, count * (t + 1) / threads);
  for (auto& worker : workers) worker.join();
}

}  // namespace fugo::testing
