#include "hsm/setup.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <cstring>
#include <vector>

#include "base/file.h"
#include "base/owned.h"
#include "hsm/find_token.h"
#include "hsm/session.h"

namespace fugo::hsm {
namespace {

constexpr unsigned kRecoveryKeyBits = 3072;

Result<std::vector<CK_SLOT_ID>> all_slots(CK_FUNCTION_LIST* functions) {
  CK_ULONG count = 0;
  FUGO_CK(functions, C_GetSlotList, CK_TRUE, nullptr, &count);  // SoftHSM rescans here
  std::vector<CK_SLOT_ID> slots(count);
  FUGO_CK(functions, C_GetSlotList, CK_TRUE, slots.data(), &count);
  slots.resize(count);
  return slots;
}

// slot_of finds the initialised token called `label`, or with an empty label a free slot.
Result<CK_SLOT_ID> slot_of(CK_FUNCTION_LIST* functions, const std::string& label) {
  FUGO_ASSIGN(const auto slots, all_slots(functions));
  for (const CK_SLOT_ID slot : slots) {
    CK_TOKEN_INFO info{};
    if (functions->C_GetTokenInfo(slot, &info) != CKR_OK) continue;
    const bool initialised = (info.flags & CKF_TOKEN_INITIALIZED) != 0;
    if (initialised != label.empty() &&
        (label.empty() || padded_text(info.label, sizeof(info.label)) == label))
      return slot;
  }
  return fail(ErrorCode::kHsm, label.empty() ? "no free slot" : "no token labelled " + label,
              "C_GetSlotList");
}

using OwnedKey = Owned<EVP_PKEY, EVP_PKEY_free>;
using OwnedBio = Owned<BIO, BIO_free>;

Status write_pem(const OwnedBio& bio, const std::filesystem::path& file, unsigned mode) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  if (size <= 0) return fail(ErrorCode::kInternal, "cannot write a key as PEM", file.string());
  return write_durably(
      file, {reinterpret_cast<std::uint8_t*>(data), static_cast<std::size_t>(size)}, mode);
}

}  // namespace

Status write_softhsm_conf(const std::filesystem::path& conf,
                          const std::filesystem::path& token_directory) {
  FUGO_TRY(make_directory(token_directory));
  const std::string text = "directories.tokendir = " + token_directory.string() +
                           "\nobjectstore.backend = file\nlog.level = ERROR\n" +
                           "slots.removable = false\nslots.mechanisms = ALL\n";
  return write_durably(conf, as_bytes(text), 0600);
}

Status initialise_token(const std::filesystem::path& module_path,
                        const std::filesystem::path& softhsm_conf, const std::string& label,
                        const std::filesystem::path& so_pin_file,
                        const std::filesystem::path& pin_file) {
  CK_UTF8CHAR padded[32];
  if (label.empty() || label.size() > sizeof(padded))
    return fail(ErrorCode::kUsage, "a token label has 1 to 32 bytes", label);
  std::memset(padded, ' ', sizeof(padded));
  std::memcpy(padded, label.data(), label.size());
  FUGO_ASSIGN(auto so_pin, Pin::read(so_pin_file));
  FUGO_ASSIGN(auto pin, Pin::read(pin_file));
  FUGO_ASSIGN(const auto module, Module::open(module_path, softhsm_conf));
  CK_FUNCTION_LIST* functions = module->functions();
  if (slot_of(functions, label))
    return fail(ErrorCode::kRefused, "there is a token of that label already", label);
  FUGO_ASSIGN(const CK_SLOT_ID free_slot, slot_of(functions, ""));
  FUGO_CK(functions, C_InitToken, free_slot, so_pin.data(), so_pin.size(), padded);
  FUGO_ASSIGN(const CK_SLOT_ID slot, slot_of(functions, label));
  FUGO_ASSIGN(auto session, Session::open(module, slot, Session::Access::kReadWrite));
  FUGO_TRY(session.login(CKU_SO, so_pin));
  FUGO_CK(functions, C_InitPIN, session.handle(), pin.data(), pin.size());
  return {};
}

Result<RecoveryKeyFiles> make_recovery_key_pair(const std::filesystem::path& directory) {
  FUGO_TRY(make_directory(directory));
  RecoveryKeyFiles files{directory / "recovery-public.pem", directory / "recovery-private.pem"};
  for (const auto& file : {files.public_key, files.private_key})
    if (std::error_code ignored; std::filesystem::exists(file, ignored))
      return fail(ErrorCode::kRefused, "there is a recovery key already", file.string());
  const OwnedKey key(EVP_RSA_gen(kRecoveryKeyBits));
  if (!key) return fail(ErrorCode::kInternal, "cannot make an RSA key", "EVP_RSA_gen");
  const OwnedBio secret(BIO_new(BIO_s_secmem()));
  const OwnedBio open(BIO_new(BIO_s_mem()));
  if (!secret || !open ||
      PEM_write_bio_PKCS8PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                    nullptr) != 1 ||
      PEM_write_bio_PUBKEY(open.get(), key.get()) != 1)
    return fail(ErrorCode::kInternal, "cannot write a key as PEM");
  FUGO_TRY(write_pem(secret, files.private_key, 0600));
  FUGO_TRY(write_pem(open, files.public_key, 0644));
  return files;
}

}  // namespace fugo::hsm
