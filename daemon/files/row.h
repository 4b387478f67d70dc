// One row of a request of any kind, tried against everything but the ledger.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "daemon/files/rejects.h"
#include "daemon/files/request.h"

namespace fugo::daemon {

// kMaxLineBytes: a longer row is malformed whatever it holds.
inline constexpr std::size_t kMaxLineBytes = 4096;
inline constexpr std::size_t kResidentCodeDigits = 11;

// RequestRow is what check_row found. It may hold a resident code: wipe it after use.
struct RequestRow {
  std::string_view processing_number;  // of an accepted row: the field; else what may be shown
  std::uint64_t code = 0;              // of an accepted row; of a change the old one
  std::uint64_t new_code = 0;          // of an accepted row of a change
  keystore::AgencyNumber agency = 0;   // 0: not known, or rejected before it was looked up
  RejectReason reason{};               // of a rejected row
};

// check_row tries one line, without its end, in the contract's order: number of fields, then field
// by field (processing number, agency, resident code; old code, new code; code, reason). True:
// accepted. Survey, duplicates and reader all call this one.
[[nodiscard]] bool check_row(std::string_view line, const RowRules& rules, RequestRow& row);

// wipe_codes wipes the resident codes of a row.
inline void wipe_codes(RequestRow& row) {
  wipe(&row.code, sizeof(row.code));
  wipe(&row.new_code, sizeof(row.new_code));
}

// check_digit_agrees computes the last digit of a resident code from the first ten (mod 11, see
// docs/spec/files.md). `digits` are 11 characters 0 to 9.
[[nodiscard]] bool check_digit_agrees(const char* digits);

// may_hold_resident_code tells whether a text must not be repeated in a message or list: it has so
// many digits, whatever stands between them, that they may be somebody's code.
[[nodiscard]] bool may_hold_resident_code(std::string_view text);
// hide_resident_codes puts an x for each digit of a run of exactly as many digits as a code has:
// for names that others chose, where ids and dates have digits too.
[[nodiscard]] std::string hide_resident_codes(std::string text);

// Lines walks the lines of a text: LF or CRLF ends one, and the last needs no end.
class Lines {
 public:
  explicit Lines(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  // next gives the following line without its end; false when there is none.
  [[nodiscard]] bool next(std::string_view& line);
  // rest is where the line after the last one begins.
  [[nodiscard]] const char* rest() const { return at_; }

 private:
  const char* at_;
  const char* end_;
};

}  // namespace fugo::daemon
