// kill -9 and full disks at each durable step of a deletion alone, and of a merge alone.
#include <array>
#include <chrono>
#include <cstdio>
#include <thread>

#include "tests/fault/run_with_faults.h"
#include "tests/keystore/ledger_deletion.h"

namespace fugo::keystore {
namespace {

using fugo::testing::FaultOutcome;
using fugo::testing::FaultPlan;

// CrashLedger is a ledger of segments of 50, 10, 10, 30 and 10 people with merges due and not made.
class CrashLedger {
 public:
  explicit CrashLedger(std::string act) : act_(std::move(act)) {
    fill();
    std::filesystem::copy(place_.directory, before(), std::filesystem::copy_options::recursive);
  }
  ~CrashLedger() { std::filesystem::remove_all(before()); }
  CrashLedger(const CrashLedger&) = delete;
  CrashLedger& operator=(const CrashLedger&) = delete;

  FaultOutcome run(FaultPlan plan) const {
    plan.under = place_.directory;
    return fugo::testing::run_with_faults(
        {std::string(FUGO_LEDGER_PROBE), place_.directory.string(), act_}, plan);
  }
  void reset() const {
    std::filesystem::remove_all(place_.directory);
    std::filesystem::copy(before(), place_.directory, std::filesystem::copy_options::recursive);
  }
  [[nodiscard]] const LedgerPlace& place() const { return place_; }

  // expect_whole opens the ledger, and compares it with its content before or after the act.
  void expect_whole(const std::set<PersonId>& deleted) const {
    const auto ledger = place_.open(Access::kWrite);
    ASSERT_OK(ledger);
    const auto state = (*ledger)->state();
    ASSERT_OK(state);
    expect_left(**ledger, state->deleted_people == 0 ? std::set<PersonId>{} : deleted);
    EXPECT_EQ((*ledger)->snapshot().value()->files().size(), place_.bulk_files()) << "orphans";
    ASSERT_OK((*ledger)->journal(0, 1000));
  }

 private:
  [[nodiscard]] std::filesystem::path before() const {
    return place_.directory.string() + "-before";
  }
  // A merge is kept from being made by taking an input away for a while.
  void fill() const {
    ASSERT_OK(place_.create());
    const auto ledger = place_.open(Access::kWrite);
    ASSERT_OK(ledger);
    auto update = (*ledger)->begin();
    ASSERT_OK((*update)->put_agency(make_agency("A", 1)));
    ASSERT_OK((*update)->put_job(make_job("J1")));
    ASSERT_OK((*update)->commit());
    update->reset();
    SegmentMaker maker(7);
    for (const std::size_t count : {50, 10}) ASSERT_OK(maker.commit(**ledger, count));
    FileNumber person = 0;  // the second
    for (const FileRow& row : (*ledger)->snapshot().value()->files())
      if (row.kind == FileKind::kPerson) person = row.number;
    const auto file = place_.directory / "data" / bulk_file_name(person);
    std::filesystem::rename(file, place_.directory / "away");
    for (const std::size_t count : {10, 30, 10}) ASSERT_OK(maker.commit(**ledger, count));
    ASSERT_OK((*ledger)->finish_merges());
    ASSERT_TRUE((*ledger)->merge_warning());
    ASSERT_EQ(place_.bulk_files(), 14U);
    std::filesystem::rename(place_.directory / "away", file);
  }

  const std::string act_;
  LedgerPlace place_;
};

// Reader is another process that has the ledger open, for as long as this lives.
class Reader {
 public:
  explicit Reader(const LedgerPlace& place)
      : pipe_(::popen((FUGO_LEDGER_PROBE " " + place.directory.string() + " read").c_str(), "w")) {
    const auto ready = place.directory / "read";  // the probe makes it
    for (int i = 0; i < 10'000 && !std::filesystem::exists(ready); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_TRUE(std::filesystem::remove(ready));
  }
  ~Reader() { EXPECT_EQ(::pclose(pipe_), 0); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

 private:
  std::FILE* const pipe_;
};

// kill_everywhere ends the act at each durable step, before and after it, and runs it again: as the
// only process, and beside a reader. LMDB tells the first who opens a ledger of a commit that its
// writer did not live to announce, but nobody who comes while others have it open.
void kill_everywhere(const CrashLedger& crash, const std::set<PersonId>& deleted,
                     std::size_t files_in_the_end, std::uint64_t fewest_steps) {
  const auto undisturbed = crash.run({});
  ASSERT_EQ(undisturbed.exit_code, 0) << undisturbed.errors;
  ASSERT_GE(undisturbed.steps, fewest_steps);
  crash.expect_whole(deleted);
  ASSERT_EQ(crash.place().bulk_files(), files_in_the_end);
  constexpr std::array<std::pair<bool, bool>, 4> kCases = {
      {{false, false}, {true, false}, {false, true}, {true, true}}};
  for (std::uint64_t step = 1; step <= undisturbed.steps; ++step)
    for (const auto& [after, read] : kCases) {
      SCOPED_TRACE("step " + std::to_string(step) + (after ? ", after it" : ", before it") +
                   (read ? ", beside a reader" : ""));
      crash.reset();
      const auto reader = read ? std::make_unique<Reader>(crash.place()) : nullptr;
      FaultPlan plan;
      plan.kill_at = step;
      plan.kill_after = after;
      ASSERT_EQ(crash.run(plan).signal, SIGKILL);
      crash.expect_whole(deleted);
      const auto again = crash.run({});
      ASSERT_EQ(again.exit_code, 0) << again.errors;
      crash.expect_whole(deleted);
      ASSERT_EQ(crash.place().bulk_files(), files_in_the_end);
      if (::testing::Test::HasFailure()) return;
    }
}

// fail_everywhere lets each call fail that can, for ever or once, and runs the act again.
void fail_everywhere(const CrashLedger& crash, const std::set<PersonId>& deleted, int error,
                     std::size_t files_in_the_end) {
  FaultPlan count;
  count.fail_errno = error;
  const std::uint64_t failable = crash.run(count).failable;
  ASSERT_GT(failable, 5U);
  for (std::uint64_t at = 1; at <= failable; ++at)
    for (const bool forever : {false, true}) {
      SCOPED_TRACE("call " + std::to_string(at) + (forever ? ", for ever" : ", once"));
      crash.reset();
      FaultPlan plan;
      plan.fail_at = at;
      plan.fail_errno = error;
      plan.fail_forever = forever;
      ASSERT_EQ(crash.run(plan).signal, 0);
      crash.expect_whole(deleted);
      const auto again = crash.run({});
      ASSERT_EQ(again.exit_code, 0) << again.errors;
      crash.expect_whole(deleted);
      ASSERT_EQ(crash.place().bulk_files(), files_in_the_end);
      if (::testing::Test::HasFailure()) return;
    }
}

std::set<PersonId> deleted_set() {
  const auto people = deleted_people();
  return {people.begin(), people.end()};
}

TEST(LedgerCrash, AMergeAloneKilledAtEachStepLosesNothing) {
  const CrashLedger crash("merge");
  kill_everywhere(crash, {}, 3, 12);
}

TEST(LedgerCrash, ADeletionAloneKilledAtEachStepIsDoneOrNotDone) {
  const CrashLedger crash("delete");
  kill_everywhere(crash, deleted_set(), 13, 12);
}

TEST(LedgerCrash, AMergeOnAFullDiskIsMadeLater) {
  const CrashLedger crash("merge");
  fail_everywhere(crash, {}, ENOSPC, 3);
}

TEST(LedgerCrash, ADeletionOnADiskThatFailsIsDoneOrNotDone) {
  const CrashLedger crash("delete");
  fail_everywhere(crash, deleted_set(), EIO, 13);
}

}  // namespace
}  // namespace fugo::keystore
