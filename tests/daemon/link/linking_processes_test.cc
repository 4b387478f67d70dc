// Linking beside processes and threads that come to an end: the writer, other readers, a forked
// child, and threads of its own.
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <lmdb.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "base/secret.h"
#include "hsm/token.h"
#include "tests/daemon/link/linked_site.h"

namespace fugo::test {

using engine::Linking;
using engine::LinkStatus;
using std::chrono::milliseconds;

namespace {

// Linkers link people [0, count) of a site by several threads until they are destroyed, and count
// what is wrong.
class Linkers {
 public:
  Linkers(Linking& linking, const LinkedSite& site, std::size_t count) {
    for (std::size_t thread = 0; thread < 4; ++thread)
      threads_.emplace_back([&, count, thread] {
        for (std::size_t i = thread; !stop_; i += 7) {
          const auto& from = kLinkAgencies[i % 4];
          const auto asked = link_one(linking, {from, "141003", site.symbol(from, i % count)});
          ++calls_;
          if (asked.status != LinkStatus::kOk || asked.linked != site.symbol("141003", i % count))
            ++wrong_;
        }
      });
  }
  ~Linkers() {
    stop_ = true;
    for (auto& thread : threads_) thread.join();
    EXPECT_EQ(wrong_, 0U) << "of " << calls_;
  }
  Linkers(const Linkers&) = delete;
  Linkers& operator=(const Linkers&) = delete;
  // some waits until there were some more calls.
  void some() const {
    for (const auto before = calls_.load(); calls_ < before + 50 && wrong_ == 0;)
      std::this_thread::sleep_for(milliseconds(1));
  }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> calls_{0}, wrong_{0};
  std::vector<std::thread> threads_;
};

std::vector<LinkedSite::Issuance> everywhere(std::size_t first, std::size_t count) {
  std::vector<LinkedSite::Issuance> wanted;
  for (std::size_t i = first; i < first + count; ++i)
    for (const auto& agency : kLinkAgencies) wanted.emplace_back(agency, i);
  return wanted;
}

class LinkingProcesses : public testing::Test {
 protected:
  static constexpr std::size_t kPeople = 100;
  void SetUp() override {
    hsm::finalize_all();  // children could not see other tokens than the last test's
    site_.issue(everywhere(0, kPeople));
  }
  LinkStatus ask(Linking& linking, const std::string& from, const std::string& to,
                 std::size_t who) {
    const auto asked = link_one(linking, {from, to, site_.symbol(from, who)});
    EXPECT_EQ(asked.linked, asked.status == LinkStatus::kOk ? site_.symbol(to, who) : Block{});
    return asked.status;
  }
  LinkedSite site_;
};

// in_child runs `work` in a forked child, and gives its exit code. A child that hangs is ended.
template <typename Work>
int in_child(Work&& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(100);
    ::_exit(work());
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST_F(LinkingProcesses, AWriterKilledInTheMiddleOfItsSegmentsIsNotNoticed) {
  site_.site().set_config("[ledger]", "[issue]\nsegment_rows = 40\n\n[ledger]");
  site_.start_daemon();
  const auto linking = site_.open();
  for (std::size_t round = 0; round < 5; ++round) {
    const std::size_t first = 1000 * (round + 1);
    std::string id;
    {
      const Linkers linkers(*linking, site_, kPeople);
      id = site_.drop_issue(everywhere(first, 150));
      ASSERT_TRUE(wait_for([&] { return !entries(folder(site_.site(), "work")).empty(); }));
      std::this_thread::sleep_for(milliseconds(10 * round));
      site_.kill_daemon();
      linkers.some();
      site_.start_daemon();  // goes on
      linkers.some();
    }
    site_.take_issue(id);
    for (std::size_t i = first; i < first + 150; i += 10)
      for (const auto& from : kLinkAgencies)
        ASSERT_EQ(ask(*linking, from, "131016", i), LinkStatus::kOk)
            << linking->health().last_error;
  }
  EXPECT_EQ(linking->health().last_error, "");
  EXPECT_EQ(site_.stop_daemon(), 0);
  EXPECT_EQ(site_.site().run({"verify"}).exit_code, 0);
}

TEST_F(LinkingProcesses, AFileThatGrowsUnderItsReadersIsReadToItsNewEnd) {
  const auto data = site_.site().directory() / "ledger" / "data.mdb";
  const auto linking = site_.open();
  const auto before = std::filesystem::file_size(data);
  std::string last;
  {
    const Linkers linkers(*linking, site_, kPeople);
    std::string agencies = "agency_code,name,method\n";
    for (int i = 0; i < 8000; ++i) {
      last = "G" + std::to_string(i);
      agencies += last + "," + std::string(200, 'n') + ",\n";
    }
    write_file(site_.site().scratch() / "more.csv", agencies);
    site_.run({"agency", "import", (site_.site().scratch() / "more.csv").string()});
    site_.issue({{last, 3}, {last, 4}});
    linkers.some();
  }
  EXPECT_GT(std::filesystem::file_size(data), before);
  EXPECT_EQ(ask(*linking, last, "131016", 3), LinkStatus::kOk);
  EXPECT_EQ(ask(*linking, "472018", last, 4), LinkStatus::kOk);
}

// What the child found, as its exit code: 0 when all is as it must be.
int refusals(Linking& linking, const Block& symbol, keystore::AgencyNumber from,
             keystore::AgencyNumber to) {
  Block linked = symbol, record = symbol;
  engine::PersonHandle person{{1, 2}};
  LinkStatus status = LinkStatus::kUnknown;
  linking.link({&from, 1}, {&to, 1}, {&symbol, 1}, {&linked, 1}, {&record, 1}, {&status, 1});
  if (status != LinkStatus::kForked || linked != Block{} || record != Block{}) return 1;
  linking.resolve({&from, 1}, {&symbol, 1}, {&person, 1}, {&status, 1});
  if (status != LinkStatus::kForked || person != engine::PersonHandle{}) return 2;
  linking.is_issued({&person, 1}, {&to, 1}, {&status, 1});
  if (status != LinkStatus::kForked) return 3;
  linking.symbol_for({&person, 1}, {&to, 1}, {&linked, 1}, {&status, 1});
  if (status != LinkStatus::kForked) return 4;
  linking.record_symbol({&person, 1}, {&record, 1}, {&status, 1});
  if (status != LinkStatus::kForked) return 5;
  if (linking.find_agency("131016") || linking.prepare({})) return 6;
  if (!linking.take_uses().empty()) return 7;
  return linking.health().last_error == "" ? 8 : 0;
}

TEST_F(LinkingProcesses, AForkedChildIsToldSoMayCloseAndTheParentGoesOn) {
  auto linking = site_.open();
  ASSERT_TRUE(linking->prepare({}));
  const auto from = number(*linking, "131016"), to = number(*linking, "141003");
  const Block symbol = site_.symbol("131016", 5);
  for (int round = 0; round < 10; ++round) {
    const Linkers linkers(*linking, site_, kPeople);  // locks are held when it forks
    linkers.some();
    EXPECT_EQ(in_child([&] {
                const int wrong = refusals(*linking, symbol, from, to);
                linking.reset();  // waits for no thread of its parent's
                return wrong;
              }),
              0);
    linkers.some();
  }
}

TEST_F(LinkingProcesses, ThreadsComeAndGo) {
  const auto linking = site_.open();
  for (int round = 0; round < 30; ++round) {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < 8; ++i)
      threads.emplace_back([&, i] {
        (void)link_one(*linking, {"131016", "141003", site_.symbol("131016", i)});
        ::pthread_exit(nullptr);  // without a word
      });
    for (auto& thread : threads) thread.join();
  }
  EXPECT_EQ(ask(*linking, "131016", "141003", 5), LinkStatus::kOk);
  site_.change(3, 1003);
  EXPECT_EQ(ask(*linking, "131016", "141003", 1003), LinkStatus::kOk);
}

// readers lists the slots of lock.mdb that are taken, one a line.
std::string readers(const LinkedSite& site) {
  MDB_env* env = nullptr;
  EXPECT_EQ(::mdb_env_create(&env), 0);
  const auto directory = site.site().directory() / "ledger";
  EXPECT_EQ(::mdb_env_open(env, directory.c_str(), MDB_RDONLY | MDB_NOTLS, 0), 0);
  std::string text;
  ::mdb_reader_list(
      env,
      [](const char* line, void* to) {
        *static_cast<std::string*>(to) += line;
        return 0;
      },
      &text);
  ::mdb_env_close(env);
  return text;
}

// Processes that link and are killed, again and again: whoever writes is not kept from it, and does
// not keep for them what nobody reads any more.
TEST_F(LinkingProcesses, AReadingProcessThatIsKilledLeavesNothing) {
  for (std::size_t round = 0; round < 6; ++round) {
    const auto ready = site_.site().scratch() / ("ready-" + std::to_string(round));
    const pid_t child = ::fork();
    if (child == 0) {
      if (round % 2 == 0) {
        const auto linking = site_.open();
        while (ask(*linking, "131016", "141003", round) == LinkStatus::kOk) write_file(ready, "");
      } else {
        const auto site = site_.open_site();
        while (site->ledger().state()) write_file(ready, "");
      }
      ::_exit(1);
    }
    ASSERT_TRUE(wait_for([&] { return std::filesystem::exists(ready); }));
    std::this_thread::sleep_for(milliseconds(5 * round));
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    site_.issue(everywhere(200 + round, 1));
    EXPECT_EQ(readers(site_), "(no active readers)\n");
  }
  const auto linking = site_.open();
  for (std::size_t round = 0; round < 6; ++round)
    EXPECT_EQ(ask(*linking, "131016", "141003", 200 + round), LinkStatus::kOk);
}

// locked_bytes is how much memory this process has locked.
std::size_t locked_bytes() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("VmLck:", 0) == 0) return std::stoul(line.substr(6)) * 1024;
  return 0;
}

// hold_to_lock_limit takes from this thread, and those that it starts, what lets root lock as much
// as it likes.
void hold_to_lock_limit() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) ::_exit(90);
  sets[0].effective &= ~(1U << CAP_IPC_LOCK);
  if (::syscall(SYS_capset, &header, sets.data()) != 0) ::_exit(91);
}

bool lock_no_more_than(std::size_t bytes) {
  const rlimit limit{bytes, bytes};
  return ::setrlimit(RLIMIT_MEMLOCK, &limit) == 0;
}

// A table that cannot be built for want of memory that can be locked is not one that is too large.
TEST_F(LinkingProcesses, MemoryThatCannotBeLockedIsToldAsThat) {
  EXPECT_EQ(in_child([&] {
              hold_to_lock_limit();
              set_lock_policy(LockMemory::kRequired);
              const auto linking = site_.open();
              if (!linking || ask(*linking, "141003", "131016", 1) != LinkStatus::kOk) return 2;
              // Room for small buffers, but not for those that fill tables.
              if (!lock_no_more_than(locked_bytes() + (std::size_t{300} << 10U))) return 3;
              const auto status = ask(*linking, "131016", "141003", 1);
              if (status == LinkStatus::kIndexTooLarge) return 4;
              if (status != LinkStatus::kUnavailable) return 5;
              if (linking->health().last_error.find("lock") == std::string::npos) return 6;
              if (ask(*linking, "141003", "131016", 1) != LinkStatus::kOk) return 7;
              return testing::Test::HasFailure() ? 8 : 0;
            }),
            0);
}

}  // namespace
}  // namespace fugo::test
