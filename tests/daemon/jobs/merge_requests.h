// Mergers of agencies through the command, and their answers read back.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/daemon/jobs/kind_requests.h"

namespace fugo::test {

// merge_id is the id of a merger's job and answers.
[[nodiscard]] std::string merge_id(const std::string& from, const std::string& into);

// run_merge runs the command with --json and --out OUT in the scratch directory.
CommandResult run_merge(const TestSite& site, const std::string& from, const std::string& into,
                        const std::string& out = "out");

// merged_symbols reads a merger's file, whose form is checked: old symbol -> new symbol.
[[nodiscard]] std::map<std::string, std::string> merged_symbols(const TestSite& site,
                                                                const std::string& from,
                                                                const std::string& into,
                                                                const std::string& out = "out");

// issue_some issues symbols of residents at one agency and gives them back by resident.
std::map<std::size_t, std::string> issue_some(const TestSite& site, const std::string& id,
                                              const std::string& agency,
                                              const std::vector<std::size_t>& residents);

// agency_states is code -> state as `agency list` shows it.
[[nodiscard]] std::map<std::string, std::string> agency_states(const TestSite& site);

}  // namespace fugo::test
