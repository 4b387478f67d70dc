// Results as values: every fallible function returns Result<T> or Status.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace fugo {

// ErrorCode says what kind of failure an Error is; the command's exit code follows from it.
enum class ErrorCode : std::uint8_t {
  kRefused,   // the request cannot be carried out as asked; nothing was applied (exit 1)
  kIo,        // a file or directory could not be read or written (exit 1)
  kUsage,     // wrong usage or configuration (exit 2)
  kHsm,       // the HSM is not available; running it again goes on (exit 4)
  kDamaged,   // ledger or journal do not hold together (exit 5)
  kStale,     // what was opened is not what is there any more: open it again (exit 1)
  kInternal,  // a mistake in fugo itself (exit 1)
};

// Error is what went wrong, where, and what to do about it. It never contains a resident code,
// a linkage symbol, a PIN or a key.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string what;   // a sentence without a full stop: "the token answered CKR_PIN_INCORRECT"
  std::string where;  // file, line, field, PKCS#11 function or LMDB table; may be empty
  std::string hint;   // what to do; may be empty
  std::uint64_t native = 0;  // CK_RV, errno or LMDB code where there is one

  // message is the whole text for a person: "where: what (hint)".
  [[nodiscard]] std::string message() const;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

// fail makes an unexpected value to return from a function of Result type.
[[nodiscard]] tl::unexpected<Error> fail(ErrorCode code, std::string what, std::string where = {},
                                         std::string hint = {}, std::uint64_t native = 0);

// fail_errno is fail(kIo) with errno's text; `what` names the act: "cannot open".
[[nodiscard]] tl::unexpected<Error> fail_errno(std::string_view what, std::string where,
                                               int error_number);

}  // namespace fugo

#define FUGO_CONCAT_(a, b) a##b
#define FUGO_CONCAT(a, b) FUGO_CONCAT_(a, b)

// FUGO_TRY returns the error of `expr` (a Status) from the enclosing function, if it is one.
// __COUNTER__ keeps names apart where the expression holds a lambda that uses these macros too.
#define FUGO_TRY(expr) FUGO_TRY_(FUGO_CONCAT(fugo_status_, __COUNTER__), expr)
#define FUGO_TRY_(name, expr)                                          \
  do {                                                                 \
    if (auto name = (expr); !name) [[unlikely]]                        \
      return ::tl::unexpected<::fugo::Error>(std::move(name).error()); \
  } while (false)

// FUGO_ASSIGN declares `decl` with the value of `expr` (a Result), or returns its error.
#define FUGO_ASSIGN(decl, expr) FUGO_ASSIGN_(FUGO_CONCAT(fugo_result_, __COUNTER__), decl, expr)
#define FUGO_ASSIGN_(name, decl, expr)                               \
  auto name = (expr);                                                \
  if (!name) [[unlikely]]                                            \
    return ::tl::unexpected<::fugo::Error>(std::move(name).error()); \
  decl = std::move(*name)
