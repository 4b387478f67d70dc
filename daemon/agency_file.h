// The agency registry as a file: CSV with the header "agency_code,name,method".
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "daemon/mistakes.h"

namespace fugo::daemon {

// NewAgency is one agency that somebody wants in the registry.
struct NewAgency {
  std::uint64_t line = 0;  // of the file; 0 when it came from the command line
  std::string code;
  std::string name;
  std::string method;  // name of the method; empty: the default
};

// valid_agency_code: 1 to 16 characters of 0-9A-Z.
[[nodiscard]] bool valid_agency_code(std::string_view code);

// check_new_agency adds what is wrong with code, name (1 to 256 bytes, presentable) or method
// (known, for agencies, none of the test methods in production).
void check_new_agency(const NewAgency& agency, bool production, Mistakes& mistakes);

// parse_agency_file reads the whole text: UTF-8, LF or CRLF, fields in quotation marks as in
// RFC 4180 allowed within a line. Whatever is wrong with the file goes to `mistakes`: header,
// number of fields, a code that comes twice. Rows that cannot be understood are left out.
[[nodiscard]] std::vector<NewAgency> parse_agency_file(std::string_view text, Mistakes& mistakes);

}  // namespace fugo::daemon
