#include "tests/daemon/jobs/trial_requests.h"

#include <algorithm>
#include <random>
#include <sstream>

#include "tests/daemon/site_fixture.h"

namespace fugo::test {

std::string resident_code(std::uint64_t number) {
  // An odd multiplier permutes the numbers below 10^10 when it shares no factor with 10.
  const std::uint64_t scattered = static_cast<std::uint64_t>(
      static_cast<unsigned __int128>(number) * 6364136223ULL % 10'000'000'000ULL);
  std::string code = std::to_string(scattered);
  code.insert(0, 10 - code.size(), '0');
  const int weights[] = {5, 4, 3, 2, 7, 6, 5, 4, 3, 2};
  int sum = 0;
  for (std::size_t i = 0; i < 10; ++i) sum += (code[i] - '0') * weights[i];
  const int rest = sum % 11;
  code += static_cast<char>('0' + (rest <= 1 ? 0 : 11 - rest));
  return code;
}

std::vector<TrialRow> trial_rows(std::uint64_t first, std::size_t residents,
                                 const std::vector<std::string>& agencies, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<TrialRow> rows;
  for (std::uint64_t resident = first; resident < first + residents; ++resident) {
    std::vector<std::string> chosen = agencies;
    std::shuffle(chosen.begin(), chosen.end(), random);
    chosen.resize(std::min<std::size_t>(chosen.size(), 2 + resident % 2));
    for (const auto& agency : chosen) rows.push_back({"", agency, resident_code(resident)});
  }
  std::vector<std::size_t> numbers(rows.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = i;
  std::shuffle(numbers.begin(), numbers.end(), random);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::string number = std::to_string(1'000'000 + numbers[i]);
    rows[i].processing_number = "PN" + number;
  }
  return rows;
}

std::string request_text(const std::string& id, const std::vector<TrialRow>& rows) {
  std::string text = "#fugo-request,version=1,id=" + id +
                     ",kind=issue,records=" + std::to_string(rows.size()) +
                     "\nprocessing_number,agency_code,resident_code\n";
  for (const auto& row : rows)
    text += row.processing_number + "," + row.agency + "," + row.resident_code + "\n";
  return text;
}

std::map<std::string, std::string> csv_files(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  if (!std::filesystem::is_directory(folder)) return files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".csv")
      files[entry.path().filename().string()] = read_file(entry.path());
  return files;
}

std::map<std::string, std::map<std::string, Answer>> read_answers(
    const std::filesystem::path& folder) {
  std::map<std::string, std::map<std::string, Answer>> answers;
  for (const auto& [name, content] : csv_files(folder)) {
    if (name == "rejects.csv") continue;
    std::istringstream lines(content);
    std::string line;
    std::getline(lines, line);  // head
    std::getline(lines, line);  // columns
    while (std::getline(lines, line)) {
      std::istringstream fields(line);
      std::string number;
      Answer answer;
      std::getline(fields, number, ',');
      std::getline(fields, answer.symbol, ',');
      std::getline(fields, answer.version, ',');
      std::getline(fields, answer.status, ',');
      answers[name.substr(0, name.size() - 4)][number] = answer;
    }
  }
  return answers;
}

}  // namespace fugo::test
