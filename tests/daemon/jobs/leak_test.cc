// After a million residents the site holds no resident code and no linkage symbol that can be read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string.h>

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "daemon/config.h"
#include "daemon/site_access.h"
#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::test {
namespace {

constexpr std::size_t kResidents = 1'000'000;
const std::vector<std::uint64_t> kPlanted = {1, 2, 499'999, 500'000, 777'777, 999'999};

// Needle is a secret in one encoding.
struct Needle {
  std::string what, bytes;
};

std::string base64(const std::string& bytes) {
  const char* alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i + 3 <= bytes.size(); i += 3) {
    const auto at = [&](std::size_t k) {
      return static_cast<unsigned>(static_cast<unsigned char>(bytes[i + k]));
    };
    const unsigned group = at(0) << 16U | at(1) << 8U | at(2);
    for (int shift = 18; shift >= 0; shift -= 6) text += alphabet[group >> shift & 63U];
  }
  return text;
}

std::string reversed(std::string text) { return {text.rbegin(), text.rend()}; }

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

std::string wide(const std::string& text) {
  std::string out;
  for (const char c : text) out += std::string{c, '\0'};
  return out;
}

void add_code(const std::string& code, std::vector<Needle>& needles) {
  std::uint8_t big[8];
  store_be<std::uint64_t>(big, std::stoull(code));
  const std::string number(reinterpret_cast<const char*>(big) + 2, 6);  // one leading zero byte
  needles.push_back({"code as text", code});
  needles.push_back({"code as UTF-16", wide(code)});
  needles.push_back({"code, big-endian", number});
  needles.push_back({"code, little-endian", reversed(number)});
  needles.push_back({"code, packed decimal", *unhex("0" + code)});
  needles.push_back({"code as hexadecimal of text", hex(as_bytes(code))});
  for (std::size_t skip = 0; skip < 3; ++skip)
    needles.push_back({"code as base64", base64(code.substr(skip, 9))});
  needles.push_back({"ten digits", code.substr(0, 10)});
}

void add_symbol(const Block& symbol, std::vector<Needle>& needles) {
  const std::string bytes(as_text(symbol.bytes));
  needles.push_back({"symbol", bytes.substr(0, 8)});
  needles.push_back({"symbol, second half", bytes.substr(8)});
  needles.push_back({"symbol, reversed", reversed(bytes).substr(0, 8)});
  needles.push_back({"symbol as hexadecimal", hex(symbol.bytes).substr(0, 16)});
  needles.push_back({"symbol as HEXADECIMAL", upper(hex(symbol.bytes)).substr(0, 16)});
  needles.push_back({"symbol as text", encode_symbol(symbol).substr(0, 20)});
  for (std::size_t skip = 0; skip < 3; ++skip)
    needles.push_back({"symbol as base64", base64(bytes.substr(skip, 12))});
}

// Symbols are the secret ones of some people, and what the agency 131016 is given for them.
struct Symbols {
  std::vector<Block> linkage, agency;
};

Symbols symbols_of(const TestSite& site, const std::vector<std::uint64_t>& codes) {
  Symbols symbols{std::vector<Block>(codes.size()), std::vector<Block>(codes.size())};
  const auto settings = daemon::load_settings(site.config());
  EXPECT_TRUE(settings);
  {
    auto opened = daemon::open_site(*settings, hsm::TokenRole::kIssuing, keystore::Access::kRead);
    EXPECT_TRUE(opened) << opened.error().message();
    auto& maker = (*opened)->symbols();
    const auto& generation = (*opened)->active_generation();
    EXPECT_TRUE(maker.linkage(generation, codes, {}, symbols.linkage));
    const std::vector<keystore::AgencyNumber> agencies(codes.size(),
                                                       (*opened)->find_agency("131016")->number);
    EXPECT_TRUE(maker.agency(generation.number, agencies, symbols.linkage, symbols.agency));
  }
  hsm::finalize_all();
  return symbols;
}

std::vector<std::string> search(const std::filesystem::path& directory,
                                const std::filesystem::path& except,
                                const std::vector<Needle>& needles) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file() || entry.path() == except || entry.file_size() == 0) continue;
    const auto file = MappedFile::open(entry.path());
    EXPECT_TRUE(file) << "a file was not searched: " << file.error().message();
    if (!file) continue;
    for (const Needle& needle : needles)
      if (::memmem(file->bytes().data(), file->size(), needle.bytes.data(), needle.bytes.size()) !=
          nullptr)
        found.push_back(needle.what + " in " + entry.path().string());
  }
  return found;
}

TEST(Leak, NoCodeAndNoLinkageSymbolOutsideOfTheRequest) {
  const TestSite site;
  const auto request = site.scratch() / "million.csv";
  {
    std::vector<TrialRow> rows;
    rows.reserve(kResidents);
    for (std::uint64_t i = 0; i < kResidents; ++i)
      rows.push_back(
          {std::to_string(1'000'000'000 + i), i % 3 == 0 ? "131016" : "472018", resident_code(i)});
    write_file(request, request_text("million", rows));
  }
  const auto issued =
      site.run({"issue", request.string(), "--out", (site.scratch() / "out").string()});
  ASSERT_EQ(issued.exit_code, 0) << issued.err;
  ASSERT_EQ(site.run({"stats"}).exit_code, 0);

  std::vector<std::uint64_t> codes;
  for (const std::uint64_t number : kPlanted) codes.push_back(std::stoull(resident_code(number)));
  std::vector<Needle> needles;
  for (const std::uint64_t number : kPlanted) add_code(resident_code(number), needles);
  const Symbols symbols = symbols_of(site, codes);
  for (const Block& symbol : symbols.linkage) add_symbol(symbol, needles);
  // These are the symbols that were used: the answers follow from them.
  const std::string answers = read_file(site.scratch() / "out/million/131016.csv");
  std::size_t answered = 0;
  for (const Block& symbol : symbols.agency)
    answered += answers.find(encode_symbol(symbol)) != std::string::npos ? 1 : 0;
  EXPECT_EQ(answered, std::count_if(kPlanted.begin(), kPlanted.end(),
                                    [](std::uint64_t number) { return number % 3 == 0; }));

  // The search finds each needle where it is.
  const TemporaryDirectory haystack;
  for (const Needle& needle : needles) {
    write_file(haystack.path() / "hay", "x" + needle.bytes + "y");
    EXPECT_EQ(search(haystack.path(), {}, {needle}).size(), 1U) << needle.what;
  }

  // And the codes in the request itself.
  EXPECT_GE(search(site.scratch(), {}, needles).size(), kPlanted.size());
  EXPECT_THAT(search(site.scratch(), request, needles), testing::IsEmpty());
  write_file(site.scratch() / "log", issued.out + issued.err);
  EXPECT_THAT(search(site.scratch(), request, needles), testing::IsEmpty());
}

}  // namespace
}  // namespace fugo::test
