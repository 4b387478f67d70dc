// The functions of the fault module: each forwards to the real one, with the script's effect.
#include <algorithm>
#include <cstring>
#include <iterator>
#include <tuple>

#include "hsm/call_meter.h"
#include "tests/hsm/fault_module/device.h"

namespace fugo::hsm::testing {
namespace {

// Output is what a function gives back: `*length` (or `fixed`) units of `unit` bytes.
struct Output {
  void* data = nullptr;
  CK_ULONG* length = nullptr;
  CK_ULONG fixed = 0;
  CK_ULONG unit = 1;
  [[nodiscard]] CK_ULONG bytes() const { return (length != nullptr ? *length : fixed) * unit; }
  [[nodiscard]] CK_BYTE* begin() const { return static_cast<CK_BYTE*>(data); }
};

constexpr bool has_session(CkFunction function) {
  using enum CkFunction;
  return function != C_Initialize && function != C_Finalize && function != C_GetSlotList &&
         function != C_GetTokenInfo && function != C_GetMechanismInfo && function != C_InitToken &&
         function != C_OpenSession;
}

// output_of finds a function's output among its arguments.
template <CkFunction F, typename Arguments>
Output output_of(Arguments& a) {
  using enum CkFunction;
  if constexpr (F == C_Encrypt || F == C_Decrypt || F == C_Sign) {
    return {std::get<3>(a), std::get<4>(a)};
  } else if constexpr (F == C_WrapKey) {
    return {std::get<4>(a), std::get<5>(a)};
  } else if constexpr (F == C_GenerateRandom) {
    return {std::get<1>(a), nullptr, std::get<2>(a)};
  } else if constexpr (F == C_GetAttributeValue) {
    return {std::get<2>(a)->pValue, &std::get<2>(a)->ulValueLen};
  } else if constexpr (F == C_GetTokenInfo) {
    return {std::get<1>(a)->label, nullptr, sizeof(std::get<1>(a)->label)};
  } else if constexpr (F == C_GetMechanismInfo) {
    return {&std::get<2>(a)->flags, nullptr, sizeof(CK_FLAGS)};
  } else if constexpr (F == C_GetSlotList) {
    return {std::get<1>(a), std::get<2>(a), 0, sizeof(CK_SLOT_ID)};
  } else if constexpr (F == C_FindObjects) {
    return {std::get<1>(a), std::get<3>(a), 0, sizeof(CK_OBJECT_HANDLE)};
  } else if constexpr (F == C_OpenSession || F == C_GenerateKey) {
    return {std::get<4>(a), nullptr, 1, sizeof(CK_ULONG)};
  } else if constexpr (F == C_CreateObject) {
    return {std::get<3>(a), nullptr, 1, sizeof(CK_ULONG)};
  } else if constexpr (F == C_UnwrapKey || F == C_GenerateKeyPair) {
    return {std::get<7>(a), nullptr, 1, sizeof(CK_ULONG)};
  } else {
    return {};
  }
}

// capacity_of is how many bytes of the output may be written; C_FindObjects says it elsewhere.
template <CkFunction F, typename Arguments>
CK_ULONG capacity_of(Arguments& a, const Output& output) {
  if constexpr (F == CkFunction::C_FindObjects) return std::get<2>(a) * output.unit;
  return output.data == nullptr ? 0 : output.bytes();
}

// to_real_handles replaces the object handles among the arguments.
template <CkFunction F, typename Arguments>
void to_real_handles(Arguments& a, const Handles& handles) {
  using enum CkFunction;
  const auto real = [&](CK_OBJECT_HANDLE& handle) { handle = handles.to_real(handle); };
  if constexpr (F == C_EncryptInit || F == C_DecryptInit || F == C_SignInit || F == C_UnwrapKey)
    real(std::get<2>(a));
  if constexpr (F == C_WrapKey) {
    real(std::get<2>(a));
    real(std::get<3>(a));
  }
  if constexpr (F == C_GetAttributeValue || F == C_DestroyObject) real(std::get<1>(a));
}

void find_others(const Effect& effect, Output& output, CK_ULONG capacity,
                 const std::vector<CK_OBJECT_HANDLE>& all) {
  auto* handles = static_cast<CK_OBJECT_HANDLE*>(output.data);
  CK_ULONG& count = *output.length;
  if (effect.kind == EffectKind::kNone) count = 0;
  if (effect.kind == EffectKind::kTwo && count != 0 && capacity >= 2 * count * output.unit) {
    std::copy_n(handles, count, handles + count);
    count *= 2;
  }
  if (effect.kind != EffectKind::kForeign || all.empty()) return;
  for (CK_ULONG i = 0; i < count; ++i) {
    const auto next = std::upper_bound(all.begin(), all.end(), handles[i]);
    handles[i] = next == all.end() ? all.front() : *next;
  }
}

// spoil changes an output of `size` bytes; `before` is what its buffer held before the call.
void spoil(const Effect& effect, Output& output, const std::vector<CK_BYTE>& before,
           const char* function) {
  const CK_ULONG size = output.bytes();
  if (effect.kind == EffectKind::kShort && output.length != nullptr)
    *output.length -= std::min<CK_ULONG>(*output.length, effect.number);
  if (output.data == nullptr || size == 0) return;
  CK_BYTE* const begin = output.begin();
  const CK_ULONG tail = std::min<CK_ULONG>({size, effect.number, before.size()});
  switch (effect.kind) {
    case EffectKind::kShort:
    case EffectKind::kStale:
      std::copy_n(before.begin() + static_cast<std::ptrdiff_t>(
                                       std::min<CK_ULONG>(size - tail, before.size() - tail)),
                  tail, begin + (size - tail));
      break;
    case EffectKind::kWrong: {
      const CK_ULONG blocks = (size + 15) / 16;
      const CK_ULONG block = effect.place == WrongPlace::kFirst    ? 0
                             : effect.place == WrongPlace::kMiddle ? blocks / 2
                                                                   : blocks - 1;
      begin[block * 16] ^= 1U;
      break;
    }
    case EffectKind::kZeros:
      std::memset(begin, 0, size);
      break;
    case EffectKind::kRepeat: {
      auto last = Device::get().swap_last_output(function, {begin, begin + size});
      if (last.empty()) break;
      std::copy_n(last.begin(), std::min<std::size_t>(last.size(), size), begin);
      Device::get().swap_last_output(function, std::move(last));
      break;
    }
    default:
      break;
  }
}

CK_RV gone_rv(CkFunction function) {
  return has_session(function) ? CKR_DEVICE_REMOVED : CKR_TOKEN_NOT_PRESENT;
}

template <CkFunction F, auto Member, typename Type>
struct Forward;
template <CkFunction F, auto Member, typename... A>
struct Forward<F, Member, CK_RV (*)(A...)> {
  static constexpr const char* kName = kCkFunctionNames[static_cast<std::size_t>(F)];

  static CK_RV call(A... arguments) {
    Device& device = Device::get();
    if constexpr (kNamesMechanism)
      if (device.without_ecb() && mechanism_of(arguments...) == CKM_AES_ECB)
        return CKR_MECHANISM_INVALID;
    const auto plan = device.plan(kName);
    if (plan.broken) return CKR_VENDOR_DEFINED;
    if constexpr (F == CkFunction::C_Initialize || F == CkFunction::C_Finalize) {
      device.handles.clear();
    } else if (plan.gone) {
      if constexpr (F == CkFunction::C_GetSlotList) return no_slots(arguments...);
      return gone_rv(F);
    }
    const Effect effect = plan.effect.value_or(Effect{EffectKind::kDelay, CKR_OK, 0, {}, {}});
    if (effect.kind == EffectKind::kRv) return effect.rv;
    if (plan.effect && (effect.kind == EffectKind::kHang || effect.kind == EffectKind::kDelay))
      device.wait(effect);
    const std::shared_lock lock(device.pulling);
    return forward(device, effect, arguments...);
  }

 private:
  static constexpr bool kNamesMechanism = F == CkFunction::C_GetMechanismInfo ||
                                          F == CkFunction::C_EncryptInit ||
                                          F == CkFunction::C_DecryptInit;

  static CK_MECHANISM_TYPE mechanism_of(CK_SLOT_ID /*slot*/, CK_MECHANISM_TYPE type,
                                        CK_MECHANISM_INFO* /*info*/) {
    return type;
  }
  static CK_MECHANISM_TYPE mechanism_of(CK_SESSION_HANDLE /*session*/,
                                        const CK_MECHANISM* mechanism, CK_OBJECT_HANDLE /*key*/) {
    return mechanism->mechanism;
  }

  static CK_RV no_slots(CK_BBOOL /*present*/, CK_SLOT_ID* /*list*/, CK_ULONG* count) {
    *count = 0;
    return CKR_OK;
  }

  static CK_RV forward(Device& device, const Effect& effect, A... arguments) {
    auto a = std::make_tuple(arguments...);
    if (effect.kind == EffectKind::kRenumber) renumber(device, a, false);
    to_real_handles<F>(a, device.handles);
    Output output = output_of<F>(a);
    const CK_ULONG capacity = capacity_of<F>(a, output);
    const std::vector<CK_BYTE> before(output.begin(),
                                      output.begin() + (output.data != nullptr ? capacity : 0));
    if constexpr (F == CkFunction::C_Initialize)
      std::get<0>(a) = device.initial_arguments(std::get<0>(a));
    const CK_RV rv = call_real(device, a);
    if (rv == CKR_OK) {
      if constexpr (F == CkFunction::C_FindObjects) {
        if (effect.kind == EffectKind::kForeign || effect.kind == EffectKind::kTwo ||
            effect.kind == EffectKind::kNone)
          find_others(effect, output, capacity, device.objects(*device.slot_of(std::get<0>(a))));
        auto* found = static_cast<CK_OBJECT_HANDLE*>(output.data);
        for (CK_ULONG i = 0; i < *output.length; ++i) found[i] = device.handles.to_known(found[i]);
      }
      if constexpr (F == CkFunction::C_GetSlotList)
        if (effect.kind == EffectKind::kNone) *output.length = 0;
      spoil(effect, output, before, kName);
      if constexpr (F == CkFunction::C_Login)
        if (effect.kind == EffectKind::kRenumber || device.renumber_at_login.exchange(false))
          renumber(device, a, true);
    }
    return effect.kind == EffectKind::kLost ? effect.rv : rv;
  }

  template <typename Arguments>
  static CK_RV call_real(const Device& device, const Arguments& a) {
    if constexpr (F == CkFunction::C_UnwrapKey)
      if (device.unwraps_ec(std::get<5>(a), std::get<6>(a)))
        return std::apply([&](auto... all) { return device.unwrap_ec(all...); }, a);
    return std::apply(device.real()->*Member, a);
  }

  // Without a session (C_Initialize) the handles are permuted when somebody has logged in.
  template <typename Arguments>
  static void renumber(Device& device, Arguments& a, bool now) {
    if constexpr (has_session(F)) {
      if (F == CkFunction::C_Login && !now) return;
      if (const auto slot = device.slot_of(std::get<0>(a))) device.renumber(*slot);
    } else {
      device.renumber_at_login = true;
    }
  }
};

}  // namespace
}  // namespace fugo::hsm::testing

extern "C" __attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST** list) {
  using namespace fugo::hsm;
  static CK_FUNCTION_LIST mine;
  auto& device = testing::Device::get();
  if (const CK_RV rv = device.load(); rv != CKR_OK) return rv;
  mine = *device.real();
  mine.C_GetFunctionList = C_GetFunctionList;
#define FUGO_X(name)                                                       \
  mine.name = &testing::Forward<CkFunction::name, &CK_FUNCTION_LIST::name, \
                                decltype(CK_FUNCTION_LIST::name)>::call;
  FUGO_CK_FUNCTIONS(FUGO_X)
#undef FUGO_X
  *list = &mine;
  return CKR_OK;
}
