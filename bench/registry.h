// A registry of agencies in the form of Japan's local government codes, and how many live where.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fugo::bench {

// AgencyKind is what an agency code tells about its owner.
enum class AgencyKind : std::uint8_t { kPrefecture, kMunicipality, kNationalBody };

// RegisteredAgency is one line of the registry.
struct RegisteredAgency {
  std::string code;
  std::string name;
  AgencyKind kind = AgencyKind::kMunicipality;
  unsigned prefecture = 0;  // 1 ... 47; 0 for a national body
};

// local_government_code adds the check digit to prefecture (1 ... 47) and number (0 ... 999):
// weights 6 5 4 3 2 from the left, last digit of 11 - (sum mod 11).
[[nodiscard]] std::string local_government_code(unsigned prefecture, unsigned number);

// resident_check_digit is the eleventh digit of a resident code whose first ten are `ten_digits`:
// weights 5 4 3 2 7 6 5 4 3 2 from the left, r = sum mod 11, digit 0 if r <= 1, else 11 - r.
[[nodiscard]] unsigned resident_check_digit(std::uint64_t ten_digits);

// make_registry gives the 47 prefectures, 1,741 municipalities (as many in each prefecture as
// there are, numbered in the way of the real codes without being a copy of the real list), and
// `national_bodies` other agencies N0001, N0002, ...
[[nodiscard]] std::vector<RegisteredAgency> make_registry(unsigned national_bodies);

// registry_csv is the registry in the form that `fugo agency import` reads.
[[nodiscard]] std::string registry_csv(const std::vector<RegisteredAgency>& agencies);

// parse_registry reads what registry_csv wrote; kUsage for a line that it does not understand.
[[nodiscard]] Result<std::vector<RegisteredAgency>> parse_registry(std::string_view csv);

// resident_weight is about how many people live at an agency: millions in the designated cities,
// tens of thousands in most municipalities (log-normal); 0 for prefectures and national bodies.
[[nodiscard]] double resident_weight(const RegisteredAgency& agency);

}  // namespace fugo::bench
