// A PKCS#11 module around SoftHSM that fails, swaps keys or flips a bit when it is told to.
#include <dlfcn.h>
#include <p11-kit/pkcs11.h>

#include <atomic>
#include <cstring>

namespace {

CK_FUNCTION_LIST* real = nullptr;
CK_FUNCTION_LIST mine;

// Fault is what happens to one function: after `passes` good calls one fails with `rv`.
struct Fault {
  std::atomic<int> passes{-1};
  std::atomic<CK_RV> rv{CKR_OK};
  CK_RV next() {
    if (passes.load() < 0 || passes.fetch_sub(1) != 0) return CKR_OK;
    return rv.load();
  }
};
Fault encrypt_fault, unwrap_fault, wrap_fault, create_fault, sign_fault;
std::atomic<CK_OBJECT_HANDLE> swap_to{CK_INVALID_HANDLE};
std::atomic<bool> flip{false};

CK_RV encrypt_init(CK_SESSION_HANDLE s, CK_MECHANISM* m, CK_OBJECT_HANDLE key) {
  const CK_OBJECT_HANDLE other = swap_to.load();
  return real->C_EncryptInit(s, m, other == CK_INVALID_HANDLE ? key : other);
}
CK_RV encrypt(CK_SESSION_HANDLE s, CK_BYTE* in, CK_ULONG n, CK_BYTE* out, CK_ULONG* m) {
  if (const CK_RV rv = encrypt_fault.next(); rv != CKR_OK) return rv;
  const CK_RV rv = real->C_Encrypt(s, in, n, out, m);
  if (rv == CKR_OK && flip.load()) out[0] ^= 1U;
  return rv;
}
CK_RV sign(CK_SESSION_HANDLE s, CK_BYTE* in, CK_ULONG n, CK_BYTE* out, CK_ULONG* m) {
  if (const CK_RV rv = sign_fault.next(); rv != CKR_OK) return rv;
  return real->C_Sign(s, in, n, out, m);
}
CK_RV unwrap(CK_SESSION_HANDLE s, CK_MECHANISM* m, CK_OBJECT_HANDLE by, CK_BYTE* blob, CK_ULONG n,
             CK_ATTRIBUTE* t, CK_ULONG c, CK_OBJECT_HANDLE* out) {
  if (const CK_RV rv = unwrap_fault.next(); rv != CKR_OK) return rv;
  return real->C_UnwrapKey(s, m, by, blob, n, t, c, out);
}
CK_RV wrap(CK_SESSION_HANDLE s, CK_MECHANISM* m, CK_OBJECT_HANDLE by, CK_OBJECT_HANDLE key,
           CK_BYTE* blob, CK_ULONG* n) {
  if (const CK_RV rv = wrap_fault.next(); rv != CKR_OK) return rv;
  return real->C_WrapKey(s, m, by, key, blob, n);
}
CK_RV create(CK_SESSION_HANDLE s, CK_ATTRIBUTE* t, CK_ULONG c, CK_OBJECT_HANDLE* out) {
  if (const CK_RV rv = create_fault.next(); rv != CKR_OK) return rv;
  return real->C_CreateObject(s, t, c, out);
}

Fault* fault_of(const char* name) {
  struct Row {
    const char* name;
    Fault* fault;
  };
  static const Row rows[] = {{"C_Encrypt", &encrypt_fault},
                             {"C_UnwrapKey", &unwrap_fault},
                             {"C_WrapKey", &wrap_fault},
                             {"C_CreateObject", &create_fault},
                             {"C_Sign", &sign_fault}};
  for (const Row& row : rows)
    if (std::strcmp(row.name, name) == 0) return row.fault;
  return nullptr;
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST** list) {
  void* library = ::dlopen("/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return CKR_LIBRARY_LOAD_FAILED;
  const auto get = reinterpret_cast<CK_C_GetFunctionList>(::dlsym(library, "C_GetFunctionList"));
  if (const CK_RV rv = get(&real); rv != CKR_OK) return rv;
  mine = *real;
  mine.C_GetFunctionList = C_GetFunctionList;
  mine.C_EncryptInit = encrypt_init;
  mine.C_Encrypt = encrypt;
  mine.C_Sign = sign;
  mine.C_UnwrapKey = unwrap;
  mine.C_WrapKey = wrap;
  mine.C_CreateObject = create;
  *list = &mine;
  return CKR_OK;
}

// fugo_fault_arm lets `passes` calls of a function pass and fails the next one with `rv`; a
// negative number disarms. Returns whether the function is known.
__attribute__((visibility("default"))) bool fugo_fault_arm(const char* function, int passes,
                                                           CK_RV rv) {
  Fault* fault = fault_of(function);
  if (fault == nullptr) return false;
  fault->rv = rv;
  fault->passes = passes;
  return true;
}
// fugo_fault_left is how many calls would still pass, -1 when the fault has happened.
__attribute__((visibility("default"))) int fugo_fault_left(const char* function) {
  return fault_of(function)->passes.load();
}
// fugo_fault_swap makes every C_EncryptInit use this key instead; CK_INVALID_HANDLE: the right one.
__attribute__((visibility("default"))) void fugo_fault_swap(CK_OBJECT_HANDLE key) { swap_to = key; }
// fugo_fault_flip makes C_Encrypt flip the lowest bit of its first byte.
__attribute__((visibility("default"))) void fugo_fault_flip(bool on) { flip = on; }
}
