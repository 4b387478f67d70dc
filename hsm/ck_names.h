// PKCS#11 types, return values by name, and what a return value means for a session.
#pragma once

#include <p11-kit/pkcs11.h>

#include <string>

#include "base/result.h"

namespace fugo::hsm {

// rv_name is the name of a return value as PKCS#11 2.40 section 6.13 spells it:
// "CKR_PIN_INCORRECT"; a vendor's value is written with its number.
[[nodiscard]] std::string rv_name(CK_RV rv);

// rv_kind numbers the return values that have a name, below kRvKinds; the last kind is "other".
inline constexpr std::size_t kRvKinds = 94;
[[nodiscard]] std::size_t rv_kind(CK_RV rv);
[[nodiscard]] std::string rv_kind_name(std::size_t kind);

// spoils_session tells whether a session that gave `rv` must be closed rather than used again.
// These are also the errors after which a token is worth another try: sessions, login and handles
// renewed first.
[[nodiscard]] bool spoils_session(CK_RV rv);

// ends_session tells whether `rv` says that the session is no more: then it is not closed, since
// its number may name a session of somebody else by now.
[[nodiscard]] bool ends_session(CK_RV rv);

// refuses_pin tells whether a login that gave `rv` must not be repeated with the same PIN: each
// try counts, and the token locks itself.
[[nodiscard]] bool refuses_pin(CK_RV rv);

// kWrongAnswer marks an error, in Error::native, of a call that answered CKR_OK and a result that
// is known to be wrong: another key behind the handle, or a device that computes wrongly.
inline constexpr CK_RV kWrongAnswer = CKR_KEY_CHANGED;

// fail_rv is an error of code kHsm that names the return value; `function` is the call's name.
[[nodiscard]] tl::unexpected<Error> fail_rv(CK_RV rv, std::string function, std::string hint = {});

}  // namespace fugo::hsm

// FUGO_CK returns an error from the enclosing function unless the PKCS#11 call answers CKR_OK.
// `functions` is a CK_FUNCTION_LIST*, `call` the function's name, the rest its arguments.
#define FUGO_CK(functions, call, ...)                                                           \
  do {                                                                                          \
    if (const CK_RV fugo_rv_ = (functions)->call(__VA_ARGS__); fugo_rv_ != CKR_OK) [[unlikely]] \
      return ::fugo::hsm::fail_rv(fugo_rv_, #call);                                             \
  } while (false)
