// What the tests of request and answer files share: a folder, a registry, valid resident codes.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/files/request.h"

namespace fugo::daemon::testing {

// TemporaryFolder is removed with all that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "fugo-files-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  // write makes a file of exactly these bytes.
  [[nodiscard]] std::filesystem::path write(const std::string& name, std::string_view bytes) const {
    const auto path = path_ / name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

 private:
  std::filesystem::path path_;
};

[[nodiscard]] inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// registry: 1 131016 and 2 472018 and 4 A are active, 3 011002 suspended, 5 131130 closed.
[[nodiscard]] inline std::vector<keystore::Agency> registry() {
  using keystore::AgencyState;
  const auto agency = [](keystore::AgencyNumber number, const char* code, AgencyState state) {
    keystore::Agency made;
    made.number = number;
    made.code = code;
    made.state = state;
    return made;
  };
  return {agency(1, "131016", AgencyState::kActive),
          agency(2, "472018", AgencyState::kActive),
          agency(3, "011002", AgencyState::kSuspended),
          agency(4, "A", AgencyState::kActive),
          agency(5, "131130", AgencyState::kClosed),
          agency(6, "ABCDEFGHIJKLMN0P", AgencyState::kActive)};
}

// resident_code makes the valid code of ten digits; the check digit is computed on its own here.
[[nodiscard]] inline std::string resident_code(std::uint64_t ten_digits) {
  std::string code = std::to_string(ten_digits);
  code.insert(0, 10 - code.size(), '0');
  const int weights[] = {5, 4, 3, 2, 7, 6, 5, 4, 3, 2};
  int sum = 0;
  for (std::size_t i = 0; i < 10; ++i) sum += weights[i] * (code[i] - '0');
  const int rest = sum % 11;
  return code + (rest <= 1 ? "0" : std::to_string(11 - rest));
}

[[nodiscard]] inline std::string request_text(std::size_t records, const std::string& rows,
                                              const std::string& id = "J1") {
  return "#fugo-request,version=1,id=" + id +
         ",kind=issue,environment=test,records=" + std::to_string(records) +
         "\nprocessing_number,agency_code,resident_code\n" + rows;
}

// Surroundings is what a survey needs besides the file.
struct Surroundings {
  TemporaryFolder folder;
  AgencyTable agencies = AgencyTable::create(registry()).value();
  SecretBytes<32> hmac_key, spill_key;
  SurveyOptions options;

  Surroundings() {
    for (std::size_t i = 0; i < 32; ++i) {
      hmac_key.data()[i] = static_cast<std::uint8_t>(i);
      spill_key.data()[i] = static_cast<std::uint8_t>(100 + i);
    }
    options.rules.agencies = &agencies;
    options.rules.reasons = {"clerical_error", "emigrated"};
    options.environment = "test";
    options.hmac_key = &hmac_key;
    options.spill_key = &spill_key;
    options.temporary_directory = folder.path();
  }
};

// reject_lines writes rejects as rejects.csv does, without the header.
[[nodiscard]] inline std::string reject_lines(RejectList& rejects) {
  std::string text;
  const auto done = rejects.for_each([&text](const Reject& reject) -> Status {
    text += std::to_string(reject.line) + "," + std::string(reject.processing_number) + "," +
            std::string(reject_reason_name(reject.reason)) + "\n";
    return {};
  });
  EXPECT_TRUE(done.has_value());
  return text;
}

}  // namespace fugo::daemon::testing
