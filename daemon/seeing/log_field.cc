#include "daemon/seeing/log_field.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/command/names.h"
#include "daemon/files/row.h"

namespace fugo::daemon {
namespace {

constexpr std::size_t kMostOutside = 128;

bool plain(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
         c == '_' || c == '-';
}

}  // namespace

std::string LogField::text() const {
  return std::visit(
      [](const auto& value) {
        if constexpr (std::is_same_v<std::decay_t<decltype(value)>, double>)
          return fmt::format("{:.3f}", value);
        else
          return fmt::format("{}", value);
      },
      value_);
}

LogField FieldMaker::outside(const char* name, std::string_view text) {
  std::string kept = hide_resident_codes(std::string(text.substr(0, kMostOutside)));
  std::replace_if(
      kept.begin(), kept.end(), [](char c) { return !plain(c); }, '?');
  return {name, std::move(kept)};
}

namespace field {

LogField kind(keystore::JobKind kind) { return FieldMaker::word("kind", kind_name(kind)); }
LogField state(keystore::JobState state) { return FieldMaker::word("state", state_name(state)); }
LogField code(ErrorCode code) { return FieldMaker::word("code", error_code_name(code)); }

}  // namespace field
}  // namespace fugo::daemon
