// The memory of a daemon that has done a batch, read from outside and as a core dump: no resident
// code and no linkage symbol is left in it.
#include <gtest/gtest.h>
#include <string.h>
#include <sys/wait.h>

#include <array>
#include <cstdlib>
#include <fstream>

#include "base/text.h"
#include "daemon/config.h"
#include "daemon/site_access.h"
#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/service/daemon_fixture.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kResidents = 20'000;

// memory_of reads every mapping of a process that it can read.
std::string memory_of(pid_t pid) {
  const auto process = fs::path("/proc") / std::to_string(pid);
  std::ifstream maps(process / "maps"), memory(process / "mem", std::ios::binary);
  std::string all;
  for (std::string line; std::getline(maps, line);) {
    std::uint64_t first = 0, last = 0;
    std::array<char, 5> rights{};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &first, &last, rights.data()) != 3) continue;
    // Programs' own code is on the disk as well; the ledger's map of a terabyte is a file, too.
    if (rights[0] != 'r' || rights[1] != 'w' || last - first > (std::uint64_t{1} << 32U)) continue;
    const auto before = all.size();
    all.resize(before + (last - first));
    memory.clear();
    memory.seekg(static_cast<std::streamoff>(first));
    memory.read(all.data() + before, static_cast<std::streamsize>(last - first));
    all.resize(before + static_cast<std::size_t>(std::max<std::streamsize>(memory.gcount(), 0)));
  }
  return all;
}

struct Needles {
  std::vector<std::string> secret;  // codes and linkage symbols, in several forms
  std::vector<std::string> control;
};

Needles needles_of(const TestSite& site) {
  Needles needles;
  std::vector<std::uint64_t> codes;
  for (const std::uint64_t number : {7U, 4711U, 19'999U}) {
    const auto code = resident_code(number);
    codes.push_back(std::stoull(code));
    std::uint8_t big[8];
    store_be<std::uint64_t>(big, codes.back());
    const std::string bytes(reinterpret_cast<const char*>(big), sizeof big);
    needles.secret.push_back(code);
    needles.secret.push_back(bytes.substr(1));
    needles.secret.emplace_back(bytes.rbegin(), bytes.rend() - 1);
  }
  const auto settings = daemon::load_settings(site.config());
  auto opened = daemon::open_site(*settings, hsm::TokenRole::kIssuing, keystore::Access::kRead);
  EXPECT_TRUE(opened) << opened.error().message();
  std::vector<Block> symbols(codes.size());
  EXPECT_TRUE((*opened)->symbols().linkage((*opened)->active_generation(), codes, {}, symbols));
  for (const Block& symbol : symbols) {
    needles.secret.emplace_back(symbol.bytes.begin(), symbol.bytes.end());
    needles.secret.push_back(hex(symbol.bytes));
    needles.secret.push_back(encode_symbol(symbol));
  }
  needles.control = {site.config().string(), "fugo-issuing"};
  opened->reset();
  hsm::finalize_all();
  return needles;
}

bool has(const std::string& memory, const std::string& needle) {
  return ::memmem(memory.data(), memory.size(), needle.data(), needle.size()) != nullptr;
}

void expect_clean(const std::string& memory, const Needles& needles, const char* what) {
  EXPECT_GT(memory.size(), 1U << 20U) << what;
  for (const auto& secret : needles.secret)
    EXPECT_FALSE(has(memory, secret)) << what << " has " << hex(as_bytes(secret)).substr(0, 6);
  for (const auto& control : needles.control) EXPECT_TRUE(has(memory, control)) << what;
}

TEST(DaemonMemory, HoldsNoCodeAndNoLinkageSymbolAfterABatch) {
  const TestSite site;
  RunningDaemon daemon(site);
  std::vector<TrialRow> rows;
  for (std::uint64_t i = 0; i < kResidents; ++i)
    rows.push_back(
        {std::to_string(1'000'000 + i), i % 2 == 0 ? "131016" : "472018", resident_code(i)});
  drop(site, "M1.csv", request_text("M1", rows));
  ASSERT_TRUE(wait_for([&] { return answered(site, "M1"); }));
  ASSERT_TRUE(wait_for([&] { return entries(folder(site, "work")).empty(); }));
  const Needles needles = needles_of(site);
  expect_clean(memory_of(daemon.pid()), needles, "the memory");

  const auto core = site.scratch() / "core";
  const std::string command = "gcore -o '" + core.string() + "' " + std::to_string(daemon.pid()) +
                              " > '" + (site.scratch() / "gcore.log").string() + "' 2>&1";
  ASSERT_EQ(std::system(command.c_str()), 0) << read_file(site.scratch() / "gcore.log");
  expect_clean(read_file(core.string() + "." + std::to_string(daemon.pid())), needles,
               "the core dump");
  EXPECT_EQ(daemon.stop(), 0);
}

}  // namespace
}  // namespace fugo::test
