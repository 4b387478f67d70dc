// The state of the fault module: the script, the real library, and who is called what.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <vector>

#include "tests/hsm/fault_module/script.h"

namespace fugo::hsm::testing {

// Handles maps the object handles that callers know to those of the real module. Thread-safe.
class Handles {
 public:
  [[nodiscard]] CK_OBJECT_HANDLE to_real(CK_OBJECT_HANDLE known) const;
  [[nodiscard]] CK_OBJECT_HANDLE to_known(CK_OBJECT_HANDLE real) const;
  // permute gives each of these objects the handle of the next one.
  void permute(const std::vector<CK_OBJECT_HANDLE>& real_handles);
  void clear();

 private:
  mutable std::mutex mutex_;
  std::map<CK_OBJECT_HANDLE, CK_OBJECT_HANDLE> real_of_, known_of_;  // those that differ
};

// Device is the one of this process.
class Device {
 public:
  static Device& get();

  // load opens the real module, once.
  [[nodiscard]] CK_RV load();
  [[nodiscard]] CK_FUNCTION_LIST* real() const { return real_; }

  // without_ecb: the device refuses CKM_AES_ECB, whatever the script says.
  [[nodiscard]] bool without_ecb() const { return without_ecb_; }
  // initial_arguments adds the library's parameters to those of C_Initialize, where it has any.
  [[nodiscard]] void* initial_arguments(void* given);
  // unwraps_ec tells whether C_UnwrapKey with this template needs unwrap_ec(): a private EC key
  // into the token of NSS, which has conditions of its own.
  [[nodiscard]] bool unwraps_ec(const CK_ATTRIBUTE* given, CK_ULONG count) const;
  // unwrap_ec unwraps it with NSS's own attribute CKA_NSS_DB, without which NSS refuses, and copies
  // it with the attributes of `given`, since NSS lets what it unwraps derive, whatever was said.
  [[nodiscard]] CK_RV unwrap_ec(CK_SESSION_HANDLE session, CK_MECHANISM* mechanism,
                                CK_OBJECT_HANDLE by, CK_BYTE* blob, CK_ULONG size,
                                const CK_ATTRIBUTE* given, CK_ULONG count,
                                CK_OBJECT_HANDLE* made) const;

  // plan reads the script if it has changed, and tells what is to happen to a call.
  struct Plan {
    bool gone = false;
    bool broken = false;  // the script has a mistake
    std::optional<Effect> effect;
  };
  [[nodiscard]] Plan plan(const std::string& function);
  // wait sits out kHang and kDelay.
  void wait(const Effect& effect);

  // objects lists what a token has, by a session of its own.
  [[nodiscard]] std::vector<CK_OBJECT_HANDLE> objects(CK_SLOT_ID slot) const;
  [[nodiscard]] std::optional<CK_SLOT_ID> slot_of(CK_SESSION_HANDLE session) const;
  // renumber permutes the handles of a token.
  void renumber(CK_SLOT_ID slot) { handles.permute(objects(slot)); }

  Handles handles;
  std::atomic<bool> renumber_at_login{false};
  std::shared_mutex pulling;  // held exclusively while all sessions are closed

  // swap_last_output keeps what a function gave, for `repeat`, and gives what it gave before.
  std::vector<CK_BYTE> swap_last_output(const std::string& function, std::vector<CK_BYTE> output);

 private:
  void reload();  // with mutex_ held
  void pull();
  void log(const std::string& line) const;

  // NSS reads its parameters where PKCS#11 has pReserved.
  CK_C_INITIALIZE_ARGS arguments_{};
  std::string parameters_;
  bool without_ecb_ = false;
  CK_FUNCTION_LIST* real_ = nullptr;
  std::string script_file_;
  std::mutex mutex_;
  Script script_;
  struct timespec changed_ {};
  ino_t inode_ = 0;
  int held_open_ = -1;
  std::uint64_t version_ = 0;
  bool was_gone_ = false;
  std::map<std::string, std::vector<CK_BYTE>> last_outputs_;
};

}  // namespace fugo::hsm::testing
