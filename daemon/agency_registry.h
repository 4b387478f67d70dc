// Acts on the agency registry of a ledger. Each is one transaction, journaled.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "daemon/agency_file.h"
#include "daemon/exchange/certificate.h"
#include "daemon/mistakes.h"
#include "engine/site.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

// kDefaultAgencyMethod makes the symbols of an agency that names no method, unless a regeneration
// gave every agency another.
inline constexpr std::string_view kDefaultAgencyMethod = "cmac-ff-aes256";

// AddedAgencies counts what add_agencies did.
struct AddedAgencies {
  std::uint64_t added = 0;
  std::uint64_t unchanged = 0;  // were there already, with the same name and method
};

// Importing says where agencies come from.
struct Importing {
  std::string subject;  // for messages: the file's name, or "the command line"
  std::string file;     // for the journal; empty for the command line
  bool production = false;
};

// add_agencies adds all agencies or none: kRefused names every mistake, those in `mistakes` (from
// reading the file) included. The site is open with kAppend or kWrite and the issuing token, which
// makes each agency's parameter. Also kRefused while a job is open. While a regeneration renews
// every agency's symbols, a new agency gets symbols of its generation too.
[[nodiscard]] Result<AddedAgencies> add_agencies(engine::Site& site,
                                                 const std::vector<NewAgency>& agencies,
                                                 Mistakes mistakes, const Importing& importing,
                                                 const keystore::Actor& actor);

// no_such_agency is the refusal of a code that is not registered. A code of so many digits that it
// may be a resident's is not repeated.
[[nodiscard]] tl::unexpected<Error> no_such_agency(std::string_view code, std::string where);

// set_agency_state suspends or resumes an agency. kRefused when there is no such agency, when it
// is closed, and while a job is open. False when it was in that state already.
[[nodiscard]] Result<bool> set_agency_state(engine::Site& site, const std::string& code,
                                            keystore::AgencyState state,
                                            const keystore::Actor& actor);

// set_agency_certificate puts the certificate that everything written for an agency is encrypted to
// from now on into its place, or with nullptr takes it away. kRefused as set_agency_state, and for
// a certificate that is not valid today or whose key usage does not allow to encrypt to it. False
// when it was that already.
[[nodiscard]] Result<bool> set_agency_certificate(engine::Site& site, const std::string& code,
                                                  const Certificate* certificate,
                                                  const keystore::Actor& actor);

}  // namespace fugo::daemon
