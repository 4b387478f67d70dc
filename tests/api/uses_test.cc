// The C interface while the uses of linking cannot be left for the daemon: nothing is linked then.
#include <fugo/fugo.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "api/handle.h"
#include "base/text.h"
#include "daemon/link_usage.h"
#include "tests/api/linked_site.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
using testing::Each;
using testing::HasSubstr;

constexpr std::chrono::milliseconds kTurn{20};

// deny_by_mode takes from this thread, and those that it starts, what makes root pass every mode.
void deny_by_mode() {
  __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  ASSERT_EQ(::syscall(SYS_capget, &head, sets.data()), 0);
  sets[0].effective &= ~(1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH);
  ASSERT_EQ(::syscall(SYS_capset, &head, sets.data()), 0);
}

class Uses : public testing::Test {
 protected:
  // In a thread of its own, for which deny_by_mode() is meant: the library's are started by it.
  void run(const std::function<void()>& test) {
    std::thread([&] {
      deny_by_mode();
      fugo_error error = FUGO_ERROR_INIT;
      ASSERT_EQ(fugo_open(site_.config().c_str(), nullptr, &handle_, &error), FUGO_OK)
          << error.message;
      ASSERT_EQ(fugo_find_agency(handle_, "131016", &from_), FUGO_OK);
      ASSERT_EQ(fugo_find_agency(handle_, "472018", &to_), FUGO_OK);
      test();
      fugo_close(handle_);
    }).join();
  }
  [[nodiscard]] fs::path folder() const { return site_.site().directory() / "link-usage"; }
  fugo_status link() {
    const char* symbol = site_.symbol("131016", 1).c_str();
    fugo_symbol linked;
    const auto status = fugo_link(handle_, 1, &from_, &to_, &symbol, &linked, nullptr, nullptr);
    if (status == FUGO_OK) ++linked_;
    EXPECT_EQ(linked.text, status == FUGO_OK ? site_.symbol("472018", 1) : std::string());
    return status;
  }
  // linked_until links until a call gives `wanted`.
  bool linked_until(fugo_status wanted) {
    for (int i = 0; i < 3000; ++i) {
      if (link() == wanted) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
  std::string last_error() {
    fugo_health_report report = FUGO_HEALTH_INIT;
    EXPECT_EQ(fugo_health(handle_, &report), FUGO_OK);
    return report.last_error;
  }
  // stops_and_goes_on: linking stops while counts cannot be left, and begins when they can again.
  void stops_and_goes_on(const std::function<void()>& hinder, const std::function<void()>& mend) {
    ASSERT_EQ(link(), FUGO_OK);
    hinder();
    handle_->uses->turn_every(kTurn);
    const bool stopped = linked_until(FUGO_UNAVAILABLE);
    handle_->uses->turn_every(std::chrono::minutes(1));  // which alone would let it link again
    const bool went_on_meanwhile = link() == FUGO_OK;
    handle_->uses->turn_every(kTurn);
    const bool stopped_again = linked_until(FUGO_UNAVAILABLE);
    const auto why = last_error();
    mend();
    ASSERT_TRUE(stopped && stopped_again && went_on_meanwhile);
    EXPECT_THAT(why, HasSubstr("nothing is linked until counts can be left in " +
                               folder().string() + " again"));
    ASSERT_TRUE(linked_until(FUGO_OK));
    handle_->uses->turn_every(std::chrono::minutes(1));
    EXPECT_EQ(last_error(), "");
  }
  // asked is how many uses the files count.
  [[nodiscard]] std::uint64_t asked() const {
    std::uint64_t sum = 0;
    for (const auto& entry : fs::directory_iterator(folder()))
      sum += nlohmann::json::parse(read_file(entry.path()))["uses"]["131016"]["asked"]
                 .get<std::uint64_t>();
    return sum;
  }
  LinkedSite site_;
  fugo_linkage* handle_ = nullptr;
  fugo_agency from_ = 0, to_ = 0;
  std::uint64_t linked_ = 0;
};

TEST_F(Uses, AFolderThatTakesNoFilesStopsLinkingUntilItDoes) {
  run([this] {
    stops_and_goes_on([this] { fs::permissions(folder(), fs::perms(0500)); },
                      [this] { fs::permissions(folder(), fs::perms(0700)); });
  });
  EXPECT_EQ(asked(), linked_);  // what was refused is no use, and no use is lost
}

TEST_F(Uses, ADiskThatTakesNoBytesStopsLinkingUntilItDoes) {
  const auto limit = [](rlim_t bytes) {
    rlimit files{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &files), 0);
    files.rlim_cur = bytes;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &files), 0);
  };
  std::signal(SIGXFSZ, SIG_IGN);
  run([&] { stops_and_goes_on([&] { limit(0); }, [&] { limit(RLIM_INFINITY); }); });
  EXPECT_EQ(asked(), linked_);
}

TEST_F(Uses, EveryCallForItemsIsRefusedAsAWhole) {
  run([this] {
    const std::string known = site_.symbol("131016", 1);
    const char* texts[] = {known.c_str(), known.c_str()};
    const fugo_agency from[] = {from_, from_}, to[] = {to_, to_};
    fugo_person people[2];
    fugo_status statuses[2];
    ASSERT_EQ(fugo_resolve(handle_, 2, from, texts, people, statuses), FUGO_OK);
    const auto known_people = std::to_array(people);
    fs::permissions(folder(), fs::perms(0500));
    handle_->uses->turn_every(kTurn);
    ASSERT_TRUE(linked_until(FUGO_UNAVAILABLE));
    const auto refused = [&](fugo_status whole) {
      EXPECT_EQ(whole, FUGO_UNAVAILABLE);
      EXPECT_THAT(statuses, Each(FUGO_UNAVAILABLE));
      std::fill(std::begin(statuses), std::end(statuses), FUGO_OK);
    };
    fugo_symbol symbols[2];
    std::uint32_t versions[2];
    refused(fugo_link(handle_, 2, from, to, texts, symbols, nullptr, statuses));
    refused(fugo_link_versions(handle_, 2, from, to, texts, symbols, nullptr, versions, statuses));
    refused(fugo_resolve(handle_, 2, from, texts, people, statuses));
    refused(fugo_resolve_versions(handle_, 2, from, texts, people, versions, statuses));
    refused(fugo_is_issued(handle_, 2, known_people.data(), to, statuses));
    refused(fugo_symbol_for(handle_, 2, known_people.data(), to, symbols, statuses));
    refused(fugo_record_symbol(handle_, 2, known_people.data(), symbols, statuses));
    EXPECT_EQ(fugo_link(handle_, 0, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr), FUGO_OK);
    fs::permissions(folder(), fs::perms(0700));
    EXPECT_TRUE(linked_until(FUGO_OK));
  });
}

// A quota is everybody's of that day: what others left before a ledger is opened, and meanwhile.
class QuotaOfUses : public Uses {
 protected:
  // More than a test links. Sites are copies of one ledger, whose use a process remembers: a later
  // test must have a larger quota.
  static constexpr std::uint64_t kFirst = 1'000'000, kSecond = 2 * kFirst;
  void set_quota(std::uint64_t quota) {
    site_.site().set_config("[ledger]",
                            "[linking]\nquota_per_day = " + std::to_string(quota) + "\n\n[ledger]");
  }
  void others(std::uint64_t asked) const {
    const auto spool = daemon::UsageSpool::open(folder(), "other").value();
    const auto now = unix_now();
    EXPECT_TRUE(spool->write(std::vector<engine::LinkUse>{{"131016", asked, asked}}, now, now));
  }
};

TEST_F(QuotaOfUses, BeginsWithWhatOthersUsed) {
  set_quota(kFirst);
  others(kFirst - 1);
  run([this] {
    EXPECT_EQ(link(), FUGO_OK);
    EXPECT_EQ(link(), FUGO_QUOTA_EXCEEDED);
  });
}

TEST_F(QuotaOfUses, LearnsWhatOthersUseMeanwhile) {
  set_quota(kSecond);
  run([this] {
    ASSERT_EQ(link(), FUGO_OK);
    others(kSecond - 1);
    handle_->uses->turn_every(kTurn);
    EXPECT_TRUE(linked_until(FUGO_QUOTA_EXCEEDED));
  });
}

}  // namespace
}  // namespace fugo::test
