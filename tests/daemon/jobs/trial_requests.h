// Request files of made-up residents, and answers read back, for tests of whole jobs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace fugo::test {

// TrialRow is one row of a request.
struct TrialRow {
  std::string processing_number;
  std::string agency;
  std::string resident_code;
};

// resident_code gives a valid code for any number below 10^10; different for different numbers.
[[nodiscard]] std::string resident_code(std::uint64_t number);

// trial_rows makes `count` rows for residents first, first + 1, ...: each at two or three of
// `agencies`, processing numbers scattered so that no two agencies share their order.
[[nodiscard]] std::vector<TrialRow> trial_rows(std::uint64_t first, std::size_t residents,
                                               const std::vector<std::string>& agencies,
                                               std::uint64_t seed = 1);

// request_text is the file of the rows.
[[nodiscard]] std::string request_text(const std::string& id, const std::vector<TrialRow>& rows);

// Answer is one row of an answer file.
struct Answer {
  std::string symbol, version, status;
};

// read_answers reads all answer files of a folder: agency -> processing number -> answer.
[[nodiscard]] std::map<std::string, std::map<std::string, Answer>> read_answers(
    const std::filesystem::path& folder);

// csv_files is name -> content of every CSV file of a folder.
[[nodiscard]] std::map<std::string, std::string> csv_files(const std::filesystem::path& folder);

}  // namespace fugo::test
