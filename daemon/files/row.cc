#include "daemon/files/row.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

namespace fugo::daemon {
namespace {

enum CharacterClass : std::uint8_t {
  kDigit = 1,
  kNumber = 2,     // 0-9A-Z
  kMalformed = 4,  // quotes and control characters
  kHarmless = 8,   // may be shown of a processing number that is wrong
};

constexpr std::array<std::uint8_t, 256> kClasses = [] {
  std::array<std::uint8_t, 256> classes{};
  for (unsigned c = 0; c < 256; ++c) {
    const bool digit = c >= '0' && c <= '9';
    const bool upper = c >= 'A' && c <= 'Z';
    const bool lower = c >= 'a' && c <= 'z';
    unsigned bits = 0;
    if (digit) bits |= kDigit;
    if (digit || upper) bits |= kNumber;
    if (c < 0x20 || c == 0x7F || c == '"') bits |= kMalformed;
    if (digit || upper || lower || c == '-' || c == '_') bits |= kHarmless;
    classes[c] = static_cast<std::uint8_t>(bits);
  }
  return classes;
}();

bool is(char character, CharacterClass wanted) {
  return (kClasses[static_cast<std::uint8_t>(character)] & wanted) != 0;
}
bool all(std::string_view field, CharacterClass wanted) {
  return std::all_of(field.begin(), field.end(), [wanted](char c) { return is(c, wanted); });
}
bool is_processing_number(std::string_view field) {
  return !field.empty() && field.size() <= kMaxProcessingNumberLength && all(field, kNumber);
}
bool is_resident_code(std::string_view field) {
  return field.size() == kResidentCodeDigits && all(field, kDigit);
}

// showable is a wrong processing number that can do no harm in the list of rejects: no formula, no
// control character, and no digits that could be somebody's resident code.
bool showable(std::string_view field) {
  if (field.size() > kMaxProcessingNumberLength || !all(field, kHarmless)) return false;
  return !field.starts_with('-') && !may_hold_resident_code(field);
}

bool reject(RequestRow& row, RejectReason reason) {
  row.reason = reason;
  return false;
}

// classify is check_row for rows that the quick way does not accept: the same rules, spelled out.
bool classify(std::string_view line, const RowRules& rules, RequestRow& row) {
  row = {};
  if (line.size() > kMaxLineBytes) return reject(row, RejectReason::kMalformedRow);
  if (std::any_of(line.begin(), line.end(), [](char c) { return is(c, kMalformed); }))
    return reject(row, RejectReason::kMalformedRow);
  if (std::count(line.begin(), line.end(), ',') != 2)
    return reject(row, RejectReason::kMalformedRow);
  const std::size_t first = line.find(','), second = line.find(',', first + 1);
  const std::string_view number = line.substr(0, first);
  const std::string_view agency = line.substr(first + 1, second - first - 1);
  const std::string_view code = line.substr(second + 1);
  const bool code_is_well_formed = is_resident_code(code);

  if (!is_processing_number(number)) {
    if (code_is_well_formed && showable(number)) row.processing_number = number;
    return reject(row, RejectReason::kBadProcessingNumber);
  }
  if (code_is_well_formed) row.processing_number = number;
  const AgencyEntry* found = all(agency, kNumber) ? rules.agencies->find(agency) : nullptr;
  if (found == nullptr) return reject(row, RejectReason::kUnknownAgency);
  row.agency = found->number;
  if (found->state == keystore::AgencyState::kSuspended)
    return reject(row, RejectReason::kSuspendedAgency);
  if (!code_is_well_formed) return reject(row, RejectReason::kBadResidentCode);
  if (rules.check_digits && !check_digit_agrees(code.data()))
    return reject(row, RejectReason::kBadCheckDigit);
  for (const char c : code) row.code = row.code * 10 + static_cast<unsigned>(c - '0');
  return true;
}

// read_code reads a resident code; a reason when it is none.
std::optional<RejectReason> read_code(std::string_view field, const RowRules& rules,
                                      std::uint64_t& code) {
  if (!is_resident_code(field)) return RejectReason::kBadResidentCode;
  if (rules.check_digits && !check_digit_agrees(field.data())) return RejectReason::kBadCheckDigit;
  code = 0;
  for (const char c : field) code = code * 10 + static_cast<unsigned>(c - '0');
  return std::nullopt;
}

// check_two_fields is check_row for the kinds that have two columns, the first a resident code.
bool check_two_fields(std::string_view line, const RowRules& rules, RequestRow& row) {
  row = {};
  if (line.size() > kMaxLineBytes ||
      std::any_of(line.begin(), line.end(), [](char c) { return is(c, kMalformed); }) ||
      std::count(line.begin(), line.end(), ',') != 1)
    return reject(row, RejectReason::kMalformedRow);
  const std::size_t comma = line.find(',');
  const std::string_view second = line.substr(comma + 1);
  if (const auto wrong = read_code(line.substr(0, comma), rules, row.code))
    return reject(row, *wrong);
  if (rules.kind == keystore::JobKind::kChange) {
    if (const auto wrong = read_code(second, rules, row.new_code)) return reject(row, *wrong);
    return true;
  }
  if (std::find(rules.reasons.begin(), rules.reasons.end(), second) != rules.reasons.end())
    return true;
  return reject(row, RejectReason::kBadReason);
}

// accept_quickly accepts most rows that are in order, in one walk over the bytes; false says
// nothing about the row.
bool accept_quickly(std::string_view line, const RowRules& rules, RequestRow& row) {
  const char* at = line.data();
  const char* const end = at + line.size();
  while (at != end && is(*at, kNumber)) ++at;
  const auto length = static_cast<std::size_t>(at - line.data());
  if (length - 1 >= kMaxProcessingNumberLength || at == end || *at != ',') return false;
  row.processing_number = line.substr(0, length);

  const char* const agency = ++at;
  PackedCode code;
  for (; at != end && is(*at, kNumber) && at - agency < 16; ++at)
    code.append(static_cast<std::size_t>(at - agency), static_cast<std::uint8_t>(*at));
  if (at == end || *at != ',') return false;
  ++at;
  if (static_cast<std::size_t>(end - at) != kResidentCodeDigits) return false;
  std::uint64_t digits = 0;
  for (std::size_t i = 0; i < kResidentCodeDigits; ++i) {
    if (!is(at[i], kDigit)) return false;
    digits = digits * 10 + static_cast<unsigned>(at[i] - '0');
  }
  if (rules.check_digits && !check_digit_agrees(at)) return false;
  const AgencyEntry* found = rules.agencies->find(code);
  if (found == nullptr || found->state != keystore::AgencyState::kActive) return false;
  row.agency = found->number;
  row.code = digits;
  return true;
}

}  // namespace

bool check_digit_agrees(const char* digits) {
  // Weights from the left; r = sum mod 11; the digit is 0 if r <= 1, else 11 - r.
  constexpr std::array<unsigned, 10> kWeights = {5, 4, 3, 2, 7, 6, 5, 4, 3, 2};
  unsigned sum = 0;
  for (std::size_t i = 0; i < kWeights.size(); ++i)
    sum += kWeights[i] * static_cast<unsigned>(digits[i] - '0');
  const unsigned rest = sum % 11;
  return static_cast<unsigned>(digits[10] - '0') == (rest <= 1 ? 0 : 11 - rest);
}

bool may_hold_resident_code(std::string_view text) {
  const auto digits = std::count_if(text.begin(), text.end(), [](char c) { return is(c, kDigit); });
  return digits >= static_cast<std::ptrdiff_t>(kResidentCodeDigits) - 1;
}

std::string hide_resident_codes(std::string text) {
  for (auto at = text.begin(); at != text.end();) {
    const auto digit = [](char c) { return is(c, kDigit); };
    const auto first = std::find_if(at, text.end(), digit);
    at = std::find_if_not(first, text.end(), digit);
    if (static_cast<std::size_t>(at - first) == kResidentCodeDigits) std::fill(first, at, 'x');
  }
  return text;
}

bool check_row(std::string_view line, const RowRules& rules, RequestRow& row) {
  if (rules.kind != keystore::JobKind::kIssue) return check_two_fields(line, rules, row);
  return accept_quickly(line, rules, row) || classify(line, rules, row);
}

bool Lines::next(std::string_view& line) {
  if (at_ == end_) return false;
  const auto left = static_cast<std::size_t>(end_ - at_);
  const auto* newline = static_cast<const char*>(std::memchr(at_, '\n', left));
  const char* stop = newline == nullptr ? end_ : newline;
  line = {at_, static_cast<std::size_t>(stop - at_)};
  if (newline != nullptr && !line.empty() && line.back() == '\r') line.remove_suffix(1);
  at_ = newline == nullptr ? end_ : newline + 1;
  return true;
}

}  // namespace fugo::daemon
