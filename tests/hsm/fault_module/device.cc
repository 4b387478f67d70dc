#include "tests/hsm/fault_module/device.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>

namespace fugo::hsm::testing {

CK_OBJECT_HANDLE Handles::to_real(CK_OBJECT_HANDLE known) const {
  const std::lock_guard lock(mutex_);
  const auto found = real_of_.find(known);
  return found == real_of_.end() ? known : found->second;
}

CK_OBJECT_HANDLE Handles::to_known(CK_OBJECT_HANDLE real) const {
  const std::lock_guard lock(mutex_);
  const auto found = known_of_.find(real);
  return found == known_of_.end() ? real : found->second;
}

void Handles::permute(const std::vector<CK_OBJECT_HANDLE>& real_handles) {
  const std::lock_guard lock(mutex_);
  std::vector<CK_OBJECT_HANDLE> known;
  for (const auto real : real_handles) {
    const auto found = known_of_.find(real);
    known.push_back(found == known_of_.end() ? real : found->second);
  }
  for (std::size_t i = 0; i < known.size(); ++i) {
    const auto next = known[(i + 1) % known.size()];
    known_of_[real_handles[i]] = next;
    real_of_[next] = real_handles[i];
  }
}

void Handles::clear() {
  const std::lock_guard lock(mutex_);
  real_of_.clear();
  known_of_.clear();
}

Device& Device::get() {
  static auto* device = new Device;  // the module is never unloaded
  return *device;
}

CK_RV Device::load() {
  const std::lock_guard lock(mutex_);
  if (real_ != nullptr) return CKR_OK;
  const char* path = std::getenv("FUGO_FAULT_REAL_MODULE");
  if (const char* script = std::getenv("FUGO_FAULT_SCRIPT")) script_file_ = script;
  without_ecb_ = std::getenv("FUGO_FAULT_WITHOUT_ECB") != nullptr;
  if (const char* text = std::getenv("FUGO_FAULT_LIBRARY_PARAMETERS")) parameters_ = text;
  void* library =
      ::dlopen(path != nullptr ? path : "/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return CKR_LIBRARY_LOAD_FAILED;
  const auto list = reinterpret_cast<CK_C_GetFunctionList>(::dlsym(library, "C_GetFunctionList"));
  return list == nullptr ? CKR_LIBRARY_LOAD_FAILED : list(&real_);
}

void* Device::initial_arguments(void* given) {
  if (parameters_.empty() || given == nullptr) return given;
  arguments_ = *static_cast<CK_C_INITIALIZE_ARGS*>(given);
  arguments_.pReserved = parameters_.data();
  return &arguments_;
}

bool Device::unwraps_ec(const CK_ATTRIBUTE* given, CK_ULONG count) const {
  return !parameters_.empty() && std::any_of(given, given + count, [](const CK_ATTRIBUTE& one) {
    return one.type == CKA_KEY_TYPE && one.ulValueLen == sizeof(CK_KEY_TYPE) &&
           *static_cast<const CK_KEY_TYPE*>(one.pValue) == CKK_EC;
  });
}

CK_RV Device::unwrap_ec(CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_OBJECT_HANDLE by,
                        CK_BYTE* blob, CK_ULONG size, const CK_ATTRIBUTE* given, CK_ULONG count,
                        CK_OBJECT_HANDLE* made) const {
  static constexpr CK_ATTRIBUTE_TYPE kNssDb = 0xD5A0DB00;  // of pkcs11n.h
  static CK_BYTE any = 0;
  static CK_BBOOL no = CK_FALSE, yes = CK_TRUE;
  std::vector<CK_ATTRIBUTE> first(given, given + count), flags;
  for (CK_ATTRIBUTE& one : first) {
    if (one.ulValueLen == sizeof(CK_BBOOL)) flags.push_back(one);
    if (one.type == CKA_TOKEN) one.pValue = &no;
    if (one.type == CKA_MODIFIABLE) one.pValue = &yes;
  }
  first.push_back({kNssDb, &any, sizeof(any)});
  CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
  const CK_RV unwrapped =
      real_->C_UnwrapKey(session, mechanism, by, blob, size, first.data(), first.size(), &object);
  if (unwrapped != CKR_OK) return unwrapped;
  const CK_RV copied = real_->C_CopyObject(session, object, flags.data(), flags.size(), made);
  const CK_RV destroyed = real_->C_DestroyObject(session, object);
  return copied != CKR_OK ? copied : destroyed;
}

void Device::reload() {
  if (script_file_.empty()) return;
  struct stat now {};
  const bool there = ::stat(script_file_.c_str(), &now) == 0;
  if (!there) now = {};
  if (now.st_ino == inode_ && now.st_mtim.tv_sec == changed_.tv_sec &&
      now.st_mtim.tv_nsec == changed_.tv_nsec)
    return;
  inode_ = now.st_ino;
  changed_ = now.st_mtim;
  ++version_;
  // Held open, the file's number is not given to another script.
  if (held_open_ >= 0) ::close(held_open_);
  held_open_ = ::open(script_file_.c_str(), O_RDONLY | O_CLOEXEC);
  std::ifstream file(script_file_);
  script_ = Script::parse({std::istreambuf_iterator<char>(file), {}});
  if (!script_.error().empty()) log("cannot understand: " + script_.error());
}

Device::Plan Device::plan(const std::string& function) {
  Plan plan;
  bool pulled = false;
  {
    const std::lock_guard lock(mutex_);
    reload();
    plan.gone = script_.gone();
    plan.broken = !script_.error().empty();
    pulled = plan.gone && !was_gone_;
    was_gone_ = plan.gone;
    if (!plan.gone && !plan.broken) plan.effect = script_.next(function);
    if (plan.effect) log(function + " " + plan.effect->text);
  }
  if (pulled) pull();
  return plan;
}

void Device::pull() {
  const std::unique_lock lock(pulling);
  CK_ULONG count = 0;
  if (real_->C_GetSlotList(CK_TRUE, nullptr, &count) != CKR_OK) return;
  std::vector<CK_SLOT_ID> slots(count);
  if (real_->C_GetSlotList(CK_TRUE, slots.data(), &count) != CKR_OK) return;
  for (const CK_SLOT_ID slot : slots) real_->C_CloseAllSessions(slot);
  handles.clear();
}

void Device::wait(const Effect& effect) {
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::hours kForEver{24};
  const auto limit = effect.number == 0 ? std::chrono::milliseconds(kForEver)
                                        : std::chrono::milliseconds(effect.number);
  const auto end = Clock::now() + limit;
  std::uint64_t version = 0;
  {
    const std::lock_guard lock(mutex_);
    version = version_;
  }
  while (Clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (effect.kind == EffectKind::kDelay) continue;
    const std::lock_guard lock(mutex_);
    reload();
    if (version_ != version) return;
  }
}

std::vector<CK_OBJECT_HANDLE> Device::objects(CK_SLOT_ID slot) const {
  std::vector<CK_OBJECT_HANDLE> found;
  CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
  if (real_->C_OpenSession(slot, CKF_SERIAL_SESSION, nullptr, nullptr, &session) != CKR_OK)
    return found;
  CK_ULONG count = 0;
  CK_OBJECT_HANDLE some[64];
  if (real_->C_FindObjectsInit(session, nullptr, 0) == CKR_OK)
    while (real_->C_FindObjects(session, some, std::size(some), &count) == CKR_OK && count != 0)
      found.insert(found.end(), some, some + count);
  real_->C_FindObjectsFinal(session);
  real_->C_CloseSession(session);
  std::sort(found.begin(), found.end());
  return found;
}

std::optional<CK_SLOT_ID> Device::slot_of(CK_SESSION_HANDLE session) const {
  CK_SESSION_INFO info{};
  if (real_->C_GetSessionInfo(session, &info) != CKR_OK) return std::nullopt;
  return info.slotID;
}

std::vector<CK_BYTE> Device::swap_last_output(const std::string& function,
                                              std::vector<CK_BYTE> output) {
  const std::lock_guard lock(mutex_);
  std::swap(last_outputs_[function], output);
  return output;
}

void Device::log(const std::string& line) const {
  const int fd =
      ::open((script_file_ + ".log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return;
  const std::string text = line + "\n";
  if (::write(fd, text.data(), text.size()) < 0) std::abort();
  ::close(fd);
}

}  // namespace fugo::hsm::testing
