// A site whose symbols are made anew, through the command, and its mapping files read back.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::test {

// Symbols: agency -> resident number -> symbol.
using Symbols = std::map<std::string, std::map<std::size_t, std::string>>;
// Mapping: old symbol -> new symbol.
using Mapping = std::map<std::string, std::string>;

// kHolders are the agencies of these tests: two one-way methods, and one that is inverted.
inline const std::vector<std::string> kHolders = {"131016", "472018", "131130", "141003"};

// ask_again issues symbols of residents [0, count) at the agencies under another request id: what
// everybody has now. Everybody must be known already when `known`.
[[nodiscard]] Symbols ask_again(const TestSite& site, const std::string& id, std::size_t count,
                                bool known = true);

// plan_run plans, and gives the run's id; "" when it failed, which fails the test.
[[nodiscard]] std::string plan_run(const TestSite& site, const std::string& what,
                                   const std::vector<std::string>& more = {});

// step runs `fugo regenerate STEP RUN ...`.
CommandResult step(const TestSite& site, const std::string& name, const std::string& run,
                   const std::vector<std::string>& more = {});

// mapping_folder is where the tests' runs write.
[[nodiscard]] std::filesystem::path mapping_folder(const TestSite& site, const std::string& run);

// aliases_file is where a run's record aliases are.
[[nodiscard]] std::filesystem::path aliases_file(const TestSite& site, const std::string& run);

// read_mapping reads one agency's mapping, and checks head, count and order.
[[nodiscard]] Mapping read_mapping(const TestSite& site, const std::string& run,
                                   const std::string& agency);

// translate gives the symbols that the mappings make of `old`; a missing one fails the test.
[[nodiscard]] Symbols translate(const TestSite& site, const std::string& run, const Symbols& old);

// expect_same compares two sets of symbols, and names one that differs.
void expect_same(const Symbols& found, const Symbols& expected, const std::string& when);

// unnamed_files are the names in the ledger's data folder that its manifest does not know. Nobody
// of this process may have the site open.
[[nodiscard]] std::vector<std::string> unnamed_files(const TestSite& site);

// delete_one deletes a resident by the command.
void delete_one(const TestSite& site, const std::string& id, std::size_t resident);

// expect_sound runs fugo verify.
void expect_sound(const TestSite& site);

}  // namespace fugo::test
