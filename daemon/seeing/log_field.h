// LogField: what a line of the log may carry beside its message. This list is all there is.
#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "daemon/seeing/service_status.h"
#include "daemon/seeing/shown_text.h"
#include "daemon/seeing/status_board.h"

namespace fugo::daemon {

// LogField is a name and a value. It is made by the functions of namespace field alone, so that
// nothing gets into the log that is not named here: a block, a buffer, a view of bytes or a
// secret has no way in, and the compiler says so.
class LogField {
 public:
  using Value = std::variant<std::string, std::int64_t, std::uint64_t, double>;

  [[nodiscard]] const char* name() const { return name_; }  // lower case with underscores
  [[nodiscard]] const Value& value() const { return value_; }
  [[nodiscard]] std::string text() const;  // of the value

 private:
  friend struct FieldMaker;
  LogField(const char* name, Value value) : name_(name), value_(std::move(value)) {}
  const char* name_;
  Value value_;
};

struct FieldMaker {
  // Text that comes from outside (a request's id, a file's name) is cut to what an id may have:
  // other characters become "?", and more than 128 of them are left out.
  static LogField outside(const char* name, std::string_view text);
  static LogField word(const char* name, const char* word) { return {name, std::string(word)}; }
  static LogField text(const char* name, const std::string& text) { return {name, text}; }
  static LogField count(const char* name, std::uint64_t count) { return {name, count}; }
  static LogField number(const char* name, std::int64_t number) { return {name, number}; }
  static LogField real(const char* name, double number) { return {name, number}; }
};

// Each function is one field. They are templates with a constraint, or take one type: nothing is
// converted on its way into the log.
namespace field {

template <typename T>
concept Count = std::unsigned_integral<T> && !std::same_as<T, bool> && sizeof(T) > 1;

#define FUGO_COUNT_FIELD(function)              \
  template <Count T>                            \
  LogField function(T value) {                  \
    return FieldMaker::count(#function, value); \
  }                                             \
  static_assert(true, "ends with a semicolon")
FUGO_COUNT_FIELD(rows);
FUGO_COUNT_FIELD(rows_new);
FUGO_COUNT_FIELD(rows_existing);
FUGO_COUNT_FIELD(rows_rejected);
FUGO_COUNT_FIELD(people_new);
FUGO_COUNT_FIELD(people_erased);
FUGO_COUNT_FIELD(files);
FUGO_COUNT_FIELD(agencies);
FUGO_COUNT_FIELD(attempt);
FUGO_COUNT_FIELD(port);
#undef FUGO_COUNT_FIELD

inline LogField signal(std::same_as<int> auto number) {
  return FieldMaker::number("signal", number);
}
inline LogField process(std::same_as<int> auto number) {
  return FieldMaker::number("process", number);
}
inline LogField seconds(std::same_as<double> auto value) {
  return FieldMaker::real("seconds", value);
}
inline LogField rows_per_second(std::same_as<double> auto value) {
  return FieldMaker::real("rows_per_second", value);
}

inline LogField job(const std::string& id) { return FieldMaker::outside("job", id); }
inline LogField order(const std::string& order) { return FieldMaker::outside("order", order); }
inline LogField operator_name(const std::string& name) {
  return FieldMaker::outside("operator", name);
}
// file is a file's last name, not its folders.
inline LogField file(const std::filesystem::path& path) {
  return FieldMaker::outside("file", path.filename().string());
}
// folder is a place of the configuration, whole.
inline LogField folder(const std::filesystem::path& path) {
  return FieldMaker::text("folder", path.string());
}
LogField kind(keystore::JobKind kind);
LogField state(keystore::JobState state);
inline LogField end(JobEnd end) { return FieldMaker::word("end", job_end_name(end)); }
inline LogField phase(Phase phase) { return FieldMaker::word("phase", phase_name(phase)); }
inline LogField hsm(HsmState state) { return FieldMaker::word("hsm", hsm_state_name(state)); }
inline LogField breaker(BreakerState state) {
  return FieldMaker::word("breaker", breaker_state_name(state));
}
LogField code(ErrorCode code);  // "refused", "io", "hsm", ...
// why is a literal of this program, too.
inline LogField why(const char* why) { return FieldMaker::word("why", why); }
// version is of this program, a literal.
inline LogField version(const char* version) { return FieldMaker::word("version", version); }
inline LogField error(const Error& error) { return FieldMaker::text("error", shown_text(error)); }

}  // namespace field
}  // namespace fugo::daemon
