#include "tests/daemon/jobs/needles.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <map>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "daemon/config.h"
#include "daemon/site_access.h"
#include "tests/fault/run_with_faults.h"

namespace fugo::test {
namespace {

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

}  // namespace

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

Symbols symbols_of(const TestSite& site, const std::vector<std::uint64_t>& codes,
                   const std::string& agency) {
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
                                                       (*opened)->find_agency(agency)->number);
    EXPECT_TRUE(maker.agency(generation.number, agencies, symbols.linkage, symbols.agency));
  }
  hsm::finalize_all();
  return symbols;
}

// One pass, whatever the number of needles: hay is hundreds of megabytes of memory.
std::vector<std::string> find_in(ByteView hay, const std::vector<Needle>& needles) {
  const auto key_of = [](const auto* from) {
    return static_cast<std::uint32_t>(static_cast<std::uint8_t>(from[0])) << 16U |
           static_cast<std::uint32_t>(static_cast<std::uint8_t>(from[1])) << 8U |
           static_cast<std::uint32_t>(static_cast<std::uint8_t>(from[2]));
  };
  std::vector<bool> begins(std::size_t{1} << 24U);
  std::multimap<std::uint32_t, const Needle*> by_beginning;
  for (const Needle& needle : needles) {
    begins[key_of(needle.bytes.data())] = true;
    by_beginning.emplace(key_of(needle.bytes.data()), &needle);
  }
  std::set<const Needle*> there;
  for (std::size_t at = 0; at + 3 <= hay.size(); ++at) {
    const auto key = key_of(hay.data() + at);
    if (!begins[key]) continue;
    const auto [first, last] = by_beginning.equal_range(key);
    for (auto found = first; found != last; ++found) {
      const std::string& bytes = found->second->bytes;
      if (hay.size() - at >= bytes.size() &&
          std::memcmp(hay.data() + at, bytes.data(), bytes.size()) == 0)
        there.insert(found->second);
    }
  }
  std::vector<std::string> names;
  for (const Needle& needle : needles)
    if (there.count(&needle) != 0) names.push_back(needle.what);
  return names;
}

std::vector<std::string> find_needles(const std::filesystem::path& directory,
                                      const std::filesystem::path& except,
                                      const std::vector<Needle>& needles) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file() || entry.path() == except || entry.file_size() == 0) continue;
    const auto file = MappedFile::open(entry.path());
    EXPECT_TRUE(file) << "a file was not searched: " << file.error().message();
    if (!file) continue;
    for (const auto& what : find_in(file->bytes(), needles))
      found.push_back(what + " in " + entry.path().string());
  }
  return found;
}

int kill_until_done(const std::vector<std::string>& command, const TestSite& site,
                    const std::function<void()>& look) {
  testing::FaultPlan plan;
  plan.under = site.scratch();
  plan.except = {site.directory() / "tokens"};
  plan.count_writes = true;
  for (int killed = 0;; ++killed) {
    plan.kill_at = 2 + 5 * static_cast<std::uint64_t>(killed);
    plan.kill_after = killed % 2 == 0;
    const auto outcome = testing::run_with_faults(command, plan);
    look();
    if (outcome.signal == SIGKILL) continue;
    EXPECT_TRUE(outcome.exit_code == 0 || outcome.exit_code == 3) << outcome.errors;
    return killed;
  }
}

void expect_findable(const std::vector<Needle>& needles) {
  const TemporaryDirectory haystack;
  for (const Needle& needle : needles) {
    write_file(haystack.path() / "hay", "x" + needle.bytes + "y");
    EXPECT_EQ(find_needles(haystack.path(), {}, {needle}).size(), 1U) << needle.what;
  }
}

}  // namespace fugo::test
