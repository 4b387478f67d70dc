// Requests of kinds change and delete, and their answers read back.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::test {

using Fields = std::vector<std::string>;

// split_lines reads a CSV file: one vector of fields a line.
[[nodiscard]] std::vector<Fields> split_lines(const std::string& text);

// kind_text is a request of kind change (old, new) or delete (code, reason).
[[nodiscard]] std::string kind_text(const std::string& id, const std::string& kind,
                                    const std::vector<std::pair<std::string, std::string>>& rows,
                                    bool join = false);

// run_kind writes a request into the scratch directory and runs the command of its kind with
// --out OUT and what else is given.
CommandResult run_kind(const TestSite& site, const std::string& id, const std::string& kind,
                       const std::string& text, const std::vector<std::string>& more = {},
                       const std::string& out = "out");

// issue_everybody issues symbols of residents [0, count) at `agencies`, each at all of them, and
// gives them back: agency -> resident number -> symbol.
[[nodiscard]] std::map<std::string, std::map<std::size_t, std::string>> issue_everybody(
    const TestSite& site, std::size_t count, const std::vector<std::string>& agencies);

// link_one links one symbol and gives "status" or "status,linked".
[[nodiscard]] std::string link_one(const TestSite& site, const std::string& symbol,
                                   const std::string& from, const std::string& to);

// digest_of is the ledger's digest without times.
[[nodiscard]] std::string digest_of(const TestSite& site);

}  // namespace fugo::test
