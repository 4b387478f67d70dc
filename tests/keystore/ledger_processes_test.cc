// Several processes on one ledger, and processes that are killed.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "keystore/environment.h"
#include "tests/keystore/ledger_test_support.h"

namespace fugo::keystore {
namespace {

// Child is a forked process that runs `body` and ends with its answer; it says when it has come to
// a place by ready(), and goes on after go_on(). Forked before the parent opens the ledger.
class Child {
 public:
  explicit Child(const std::function<int(Child&)>& body) {
    if (::pipe(to_parent_) != 0 || ::pipe(to_child_) != 0) std::abort();
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::_exit(body(*this));
  }
  // In the child.
  void ready() { exchange(to_parent_[1], true); }
  void await() { exchange(to_child_[0], false); }
  // In the parent.
  void await_ready() { exchange(to_parent_[0], false); }
  void go_on() { exchange(to_child_[1], true); }
  void kill() { ::kill(pid_, SIGKILL); }
  int wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    for (const int fd : {to_parent_[0], to_parent_[1], to_child_[0], to_child_[1]}) ::close(fd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  static void exchange(int fd, bool write) {
    char byte = '.';
    if ((write ? ::write(fd, &byte, 1) : ::read(fd, &byte, 1)) != 1) ::_exit(99);
  }
  pid_t pid_ = 0;
  int to_parent_[2]{}, to_child_[2]{};
};

int hold_for_writing(const LedgerPlace& place, Child& self) {
  const auto ledger = place.open(Access::kWrite);
  if (!ledger) return 1;
  self.ready();
  self.await();
  return 0;
}

TEST(Processes, OnlyOneWrites) {
  const LedgerPlace place;
  ASSERT_OK(place.create());
  Child writer([&](Child& self) { return hold_for_writing(place, self); });
  writer.await_ready();
  const auto second = place.open(Access::kWrite);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kRefused);
  EXPECT_NE(second.error().message().find("for writing (process "), std::string::npos);
  ASSERT_OK(place.open(Access::kRead));
  writer.go_on();
  EXPECT_EQ(writer.wait(), 0);
  ASSERT_OK(place.open(Access::kWrite));
}

TEST(Processes, AKilledWriterLeavesNoLock) {
  const LedgerPlace place;
  ASSERT_OK(place.create());
  Child writer([&](Child& self) { return hold_for_writing(place, self); });
  writer.await_ready();
  writer.kill();
  EXPECT_EQ(writer.wait(), -SIGKILL);
  ASSERT_OK(place.open(Access::kWrite));
}

TEST(Processes, AKilledTransactionIsForgotten) {
  const LedgerPlace place;
  ASSERT_OK(place.create());
  Child writer([&](Child& self) {
    const auto ledger = place.open(Access::kAppend);
    auto update = (*ledger)->begin();
    if (!(*update)->put_agency(make_agency("A", 1))) return 1;
    self.ready();
    self.await();
    return 0;
  });
  writer.await_ready();
  writer.kill();
  EXPECT_EQ(writer.wait(), -SIGKILL);
  const auto ledger = place.open(Access::kAppend);
  ASSERT_OK(ledger);
  EXPECT_TRUE((*ledger)->agencies()->empty());
  auto update = (*ledger)->begin();  // LMDB's lock was the dead process's
  ASSERT_OK(update);
  ASSERT_OK((*update)->put_agency(make_agency("A", 1)));
  ASSERT_OK((*update)->commit());
}

// A writer that is open for months, beside a reader that was killed while it read.
TEST(Processes, AKilledReaderDoesNotMakeTheFileGrow) {
  const LedgerPlace place;
  { ASSERT_OK(Environment::open(place.directory, OpenMode::kCreate)); }
  Child reader([&](Child& self) {
    const auto environment = Environment::open(place.directory, OpenMode::kRead);
    const auto reading = ReadTransaction::begin(*environment);
    self.ready();
    self.await();
    return reading ? 0 : 1;
  });
  reader.await_ready();
  const auto environment = *Environment::open(place.directory, OpenMode::kWrite);
  const auto write = [&] {
    auto transaction = *WriteTransaction::begin(environment);
    const std::string value(50'000, 'x');
    EXPECT_TRUE(transaction->put(as_bytes("key"), as_bytes(value)));
    EXPECT_TRUE(transaction->commit());
  };
  const auto pages = [&] {
    MDB_envinfo info{};
    EXPECT_EQ(::mdb_env_info(environment->handle(), &info), 0);
    return info.me_last_pgno;
  };
  write();
  reader.kill();
  EXPECT_EQ(reader.wait(), -SIGKILL);
  for (int i = 0; i < 10; ++i) write();
  const auto before = pages();
  for (int i = 0; i < 40; ++i) write();
  EXPECT_EQ(pages(), before);
}

Status open_job(Ledger& ledger) {
  FUGO_ASSIGN(const auto update, ledger.begin());
  FUGO_TRY(update->put_job(make_job("J1")));
  return update->commit();
}

TEST(Processes, AReaderSeesEachCommitOfTheWriter) {
  const LedgerPlace place;
  ASSERT_OK(place.create());
  constexpr std::size_t kRounds = 25;
  Child writer([&](Child& self) {
    const auto ledger = place.open(Access::kWrite);
    if (!ledger || !open_job(**ledger)) return 1;
    SegmentMaker maker(2);
    for (std::size_t i = 0; i < kRounds; ++i) {
      if (!maker.commit(**ledger, 10)) return 2;
      self.ready();
      self.await();
    }
    return (*ledger)->finish_merges() ? 0 : 3;
  });
  writer.await_ready();
  const auto reader = place.open(Access::kRead);
  ASSERT_OK(reader);
  for (std::size_t i = 1; i <= kRounds; ++i) {
    EXPECT_EQ((*reader)->state()->next_person, 10 * i);
    const auto snapshot = (*reader)->snapshot();  // while merges take files away
    ASSERT_OK(snapshot);
    EXPECT_EQ((*snapshot)->people(), 10 * i);
    writer.go_on();
    if (i < kRounds) writer.await_ready();
  }
  EXPECT_EQ(writer.wait(), 0);
  expect_whole(**reader);
}

TEST(Processes, AppendingGoesOnBesideAWriter) {
  const LedgerPlace place;
  ASSERT_OK(place.create());
  Child writer([&](Child& self) {
    const auto ledger = place.open(Access::kWrite);
    if (!ledger || !open_job(**ledger)) return 1;
    self.ready();
    SegmentMaker maker(3);
    for (int i = 0; i < 20; ++i)
      if (!maker.commit(**ledger, 10)) return 2;
    return (*ledger)->finish_merges() ? 0 : 3;
  });
  writer.await_ready();
  const auto ledger = place.open(Access::kAppend);
  ASSERT_OK(ledger);
  for (int i = 0; i < 20; ++i) {
    auto update = (*ledger)->begin();
    ASSERT_OK(update);
    ASSERT_OK((*update)->append_journal({"linker", ""}, "link", "{}"));
    ASSERT_OK((*update)->commit());
  }
  EXPECT_EQ(writer.wait(), 0);
  EXPECT_EQ((*ledger)->journal(0, 1000)->size(), 41U);
  expect_whole(**ledger);
}

TEST(Processes, KilledAtAnyTimeLeaveAWholeLedger) {
  const LedgerPlace place;
  ASSERT_OK(place.create());
  {
    const auto ledger = place.open(Access::kWrite);
    ASSERT_OK(ledger);
    ASSERT_OK(open_job(**ledger));
  }
  std::mt19937 random(4);
  PersonId last = 0;
  for (int round = 0; round < 40; ++round) {
    Child writer([&](Child& self) {
      const auto ledger = place.open(Access::kWrite);
      if (!ledger) return 1;
      self.ready();
      SegmentMaker maker(static_cast<std::uint64_t>(round));
      while (maker.commit(**ledger, 30))
        ;
      return 2;
    });
    writer.await_ready();
    ::usleep(1000 + static_cast<useconds_t>(random() % 40'000));
    writer.kill();
    EXPECT_EQ(writer.wait(), -SIGKILL);
    const auto ledger = place.open(Access::kWrite);
    ASSERT_OK(ledger);
    const auto state = (*ledger)->state();
    ASSERT_OK(state);
    EXPECT_GE(state->next_person, last);
    last = state->next_person;
    EXPECT_EQ((*ledger)->job(1)->rows_done, last);
    EXPECT_EQ((*ledger)->segments()->size(), state->next_segment - 1);
    ASSERT_OK((*ledger)->journal(0, 1'000'000));
    expect_whole(**ledger);
    EXPECT_EQ((*ledger)->snapshot().value()->files().size(), place.bulk_files());
  }
  EXPECT_GT(last, 0U);
}

}  // namespace
}  // namespace fugo::keystore
