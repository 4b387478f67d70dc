#include "base/result.h"

#include <system_error>

namespace fugo {

std::string Error::message() const {
  std::string text = where.empty() ? what : where + ": " + what;
  if (!hint.empty()) text += " (" + hint + ")";
  return text;
}

tl::unexpected<Error> fail(ErrorCode code, std::string what, std::string where, std::string hint,
                           std::uint64_t native) {
  return tl::unexpected<Error>(
      Error{code, std::move(what), std::move(where), std::move(hint), native});
}

tl::unexpected<Error> fail_errno(std::string_view what, std::string where, int error_number) {
  std::string text(what);
  text += ": " + std::generic_category().message(error_number);
  std::string hint;
  if (error_number == ENOSPC) hint = "make room on this file system and run it again";
  return fail(ErrorCode::kIo, std::move(text), std::move(where), std::move(hint),
              static_cast<std::uint64_t>(error_number));
}

}  // namespace fugo
