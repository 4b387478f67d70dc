// What verify_tables finds about regenerations and the files of their generations.
#include "keystore/tables.h"
#include "keystore/update.h"
#include "keystore/verify_tables.h"
#include "tests/keystore/ledger_test_support.h"

namespace fugo::keystore {
namespace {

class VerifyRuns : public ::testing::Test {
 protected:
  // A ledger of 40 people with an open run that has written 20 of them.
  void SetUp() override {
    ASSERT_OK(place.create());
    auto ledger = *place.open(Access::kWrite);
    auto update = ledger->begin();
    ASSERT_OK((*update)->put_agency(make_agency("A", 1)));
    ASSERT_OK((*update)->put_job(make_job("J1")));
    GenerationRow second;
    second.number = second.linkage_generation = 2;
    second.state = GenerationState::kPending;
    second.chained_from = 1;
    ASSERT_OK((*update)->put_generation(second));
    RunRow run;
    run.state = RunState::kRunning;
    run.what = kRunLinkage;
    run.to = 2;
    ASSERT_OK((*update)->put_run(run));
    ASSERT_OK((*update)->put_run_agency(part(1)));
    (*update)->state().staged_generation = 2;
    ASSERT_OK((*update)->commit());
    update->reset();
    SegmentMaker maker(1);
    for (int i = 0; i < 2; ++i) ASSERT_OK(maker.commit(*ledger, 20));
    ASSERT_OK(ledger->finish_merges());
    auto keys = LedgerKeys::derive(place.key, place.header.ledger_id);
    ASSERT_OK(keys);
    sealer = std::make_shared<const Sealer>(*keys, *encode_header(place.header));
    put_files(2, 20, 20);
  }

  // put_files makes rows of person and index files; nobody looks into the files here.
  void put_files(Generation generation, std::uint64_t people, std::uint64_t index) {
    change([&](SmallRowUpdate& update) -> Status {
      FileRow row;
      row.generation = generation;
      row.entries = people;
      row.number = update.state().next_file++;
      FUGO_TRY(update.put_file(row));
      row.kind = FileKind::kIndex;
      row.entries = index;
      row.number = update.state().next_file++;
      return update.put_file(row);
    });
  }
  void change(const std::function<Status(SmallRowUpdate&)>& body) const {
    auto update =
        SmallRowUpdate::begin(*Environment::open(place.directory, OpenMode::kWrite), sealer);
    ASSERT_OK(update);
    ASSERT_OK(body(**update));
    ASSERT_OK((*update)->commit());
  }
  // findings, without those of files that are not there.
  [[nodiscard]] std::string findings() const {
    const auto ledger = place.open(Access::kRead);
    const auto found = verify_tables(**ledger);
    std::string text;
    for (const Error& error : *found)
      if (error.what != "is missing") text += error.message() + "\n";
    return text;
  }
  void expect_found(std::string_view text) const {
    const auto found = findings();
    EXPECT_NE(found.find(text), std::string::npos) << "found only: " << found;
  }
  static RunAgencyRow part(RunNumber run) {
    RunAgencyRow row;
    row.run = run;
    row.agency = 1;
    return row;
  }
  static RunRow run() {
    RunRow row;
    row.number = 1;
    row.state = RunState::kRunning;
    row.what = kRunLinkage;
    row.to = 2;
    return row;
  }

  LedgerPlace place;
  std::shared_ptr<const Sealer> sealer;
};

TEST_F(VerifyRuns, AnOpenRunIsWhole) { EXPECT_EQ(findings(), ""); }

TEST_F(VerifyRuns, AnUnfinishedRunThatIsNotOpenIsFound) {
  change([](SmallRowUpdate& update) -> Status {
    update.state().open_run = 0;
    return {};
  });
  expect_found("it is unfinished, and the state does not say so: run 1");
  expect_found("pending, and no regeneration is open: generation 2");
  expect_found("is not that of the open run");
}

TEST_F(VerifyRuns, AnOpenRunThatIsOverIsFound) {
  change([](SmallRowUpdate& update) -> Status {
    RunRow row = run();
    row.state = RunState::kAborted;
    FUGO_TRY(update.put_run(row).map([](auto&&) {}));
    update.state().open_run = 1;
    return {};
  });
  expect_found("the unfinished regeneration is missing");
}

TEST_F(VerifyRuns, NumbersOfRunsAreChecked) {
  change([](SmallRowUpdate& update) -> Status {
    update.state().next_run = 1;
    return update.put_run_agency(part(9));
  });
  expect_found("its number was never given: run 1");
  expect_found("of no regeneration or agency: part of run 9");
}

TEST_F(VerifyRuns, WhatARunNamesMustBeThere) {
  change([](SmallRowUpdate& update) -> Status {
    RunRow row = run();
    row.from = 7;
    row.to = 8;
    row.agency = 9;
    return update.put_run(row).map([](auto&&) {});
  });
  expect_found("its new generation is not registered: run 1");
  expect_found("its old generation is not registered: run 1");
  expect_found("of an agency that there is not: run 1");
  expect_found("is not that of the open run");
}

// The ledger has counted what was issued since the run was put, and put_run leaves that alone.
TEST_F(VerifyRuns, ARunThatDoesNotAddUpIsFound) {
  RunRow counted;
  {
    const auto ledger = place.open(Access::kRead);
    counted = (*ledger)->runs()->front();
    EXPECT_EQ(counted.tally.people_added, 40U);
    EXPECT_EQ(counted.tally.symbols_added, (*ledger)->state()->issuances);
  }
  const auto put = [&](RunState next, std::uint64_t mapped, std::uint64_t rejected,
                       std::uint64_t people = 40, std::uint64_t beyond_files = 0) {
    change([&](SmallRowUpdate& update) -> Status {
      RunRow row = run();
      row.state = next;
      row.symbols_mapped = mapped;
      row.symbols_rejected = rejected;
      row.people_made = people;
      RunAgencyRow file;
      file.run = row.number;
      file.agency = 1;
      file.symbols = mapped - beyond_files;
      FUGO_TRY(update.put_run_agency(file));
      return update.put_run(row).map([](auto&&) {});
    });
  };
  const std::string wrong = "its counts do not add up: run 1";
  put(RunState::kReady, 0, 0);
  put(RunState::kCommitted, counted.tally.symbols_added, 0);
  EXPECT_EQ(findings().find(wrong), std::string::npos) << findings();
  put(RunState::kCommitted, counted.tally.symbols_added + 1, 0);
  expect_found(wrong);
  put(RunState::kCommitted, counted.tally.symbols_added, 0, 39);
  expect_found(wrong);
  put(RunState::kCommitted, counted.tally.symbols_added, 0, 40, 1);
  expect_found(wrong);
  put(RunState::kCommitted, counted.tally.symbols_added, 0);
  EXPECT_EQ(findings().find(wrong), std::string::npos) << findings();
  put(RunState::kFinished, counted.tally.symbols_added, counted.tally.symbols_added - 1);
  expect_found(wrong);
}

TEST_F(VerifyRuns, LinkageSymbolsOfNoGenerationAreFound) {
  change([](SmallRowUpdate& update) {
    GenerationRow third;
    third.number = 3;
    third.linkage_generation = 5;
    third.state = GenerationState::kRetired;
    return update.put_generation(third);
  });
  expect_found("its linkage symbols are those of no generation: generation 3");
}

TEST_F(VerifyRuns, FilesOfAGenerationThatIsNotInUseAreFound) {
  change([](SmallRowUpdate& update) -> Status {
    GenerationRow second;
    second.number = second.linkage_generation = 2;
    second.state = GenerationState::kRetired;
    FUGO_TRY(update.put_generation(second));
    RunRow row = run();
    row.state = RunState::kAborted;
    FUGO_TRY(update.put_run(row).map([](auto&&) {}));
    update.state().staged_generation = 0;
    return {};
  });
  expect_found("has files and is not in use: generation 2");
}

TEST_F(VerifyRuns, AnIndexOfFewerThanCanHaveBeenDeletedIsFound) {
  put_files(3, 20, 19);
  change([](SmallRowUpdate& update) {
    GenerationRow third;
    third.number = third.linkage_generation = 3;
    third.state = GenerationState::kAccepting;
    return update.put_generation(third);
  });
  expect_found("has more or fewer index entries than people: generation 3");
}

TEST_F(VerifyRuns, AGenerationBeyondTheLastPersonIsFound) {
  put_files(3, 41, 41);
  change([](SmallRowUpdate& update) {
    GenerationRow third;
    third.number = third.linkage_generation = 3;
    third.state = GenerationState::kAccepting;
    return update.put_generation(third);
  });
  expect_found("does not hold all people: generation 3");
}

}  // namespace
}  // namespace fugo::keystore
