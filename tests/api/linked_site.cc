#include "tests/api/linked_site.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

namespace fugo::test {

LinkedSite::LinkedSite() {
  issue("L1",
        "1,131016,24727059608\n"
        "2,131016,24846016224\n"
        "1,141003,24727059608\n"
        "2,141003,24846016224\n"
        "1,472018,24727059608\n",
        5);
}

void LinkedSite::issue_second_at_naha() { issue("L2", "2,472018,24846016224\n", 1); }

void LinkedSite::issue(const std::string& id, const std::string& rows, int count) {
  const auto request = site_.scratch() / (id + ".csv");
  write_file(request, "#fugo-request,version=1,id=" + id +
                          ",kind=issue,environment=test,records=" + std::to_string(count) +
                          "\nprocessing_number,agency_code,resident_code\n" + rows);
  const auto issued = site_.run({"issue", request.string(), "--out", site_.scratch().string()});
  EXPECT_EQ(issued.exit_code, 0) << issued.err;
  for (const auto& entry : std::filesystem::directory_iterator(site_.scratch() / id)) {
    const auto agency = entry.path().stem().string();
    if (agency.size() != 6) continue;
    std::istringstream file(read_file(entry.path()));
    for (std::string line; std::getline(file, line);)
      if (line.size() > 29 && line[1] == ',')
        symbols_[{agency, line[0] - '0'}] = line.substr(2, 27);
  }
}

}  // namespace fugo::test
