// fugo ship, follow and takeover: a second site that is the first one's equal, and takes its place.
#include "tests/daemon/second_site/two_sites.h"

namespace fugo::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

void change(const TwoSites& sites, const std::string& id, std::size_t from, std::size_t to) {
  ASSERT_EQ(run_kind(sites.first(), id, "change",
                     kind_text(id, "change", {{resident_code(from), resident_code(to)}}))
                .exit_code,
            0);
}

TEST(Follow, TheSecondSiteIsTheFirstOnesEqualAndTakesOver) {
  const TwoSites sites;
  const auto sent = sites.ship();
  ASSERT_EQ(sent.exit_code, 0) << sent.err;
  EXPECT_EQ(sent.json()["number"], 1);
  const auto founded = sites.found();
  ASSERT_EQ(founded.exit_code, 0) << founded.err;
  EXPECT_EQ(founded.json()["standby"]["shipment"], 1);
  EXPECT_EQ(sites.digest_second(), sites.digest_first());

  // What comes and goes is followed: new people, a change, a deletion that rewrites files.
  const auto made = sites.issue_first("N1", 500);
  change(sites, "C1", 3, 300);
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(run_kind(sites.first(), "D1", "delete",
                     kind_text("D1", "delete", {{resident_code(5), "clerical_error"}}),
                     {"--confirm", "1"})
                .exit_code,
            0);
  const auto third = sites.ship();
  ASSERT_EQ(third.exit_code, 0) << third.err;
  const auto waiting = sites.at_second({"--json", "status"}).json()["sites"]["standby"];
  EXPECT_EQ(waiting["state"], "following");
  EXPECT_EQ(waiting["shipment"], 1);
  EXPECT_EQ(waiting["unapplied"], 2);
  const auto followed = sites.follow();
  ASSERT_EQ(followed.exit_code, 0) << followed.err;
  EXPECT_EQ(followed.json()["applied"], 2);
  EXPECT_EQ(followed.json()["standby"]["shipment"], 3);
  EXPECT_EQ(followed.json()["standby"]["journal_head"], third.json()["journal_head"]);
  EXPECT_EQ(followed.json()["standby"]["digest"], third.json()["digest"]);
  EXPECT_EQ(sites.digest_second(), sites.digest_first());
  EXPECT_EQ(sites.first().run({"--json", "status"}).json()["sites"]["shipped"]["number"], 3);
  EXPECT_EQ(sites.at_second({"verify"}).exit_code, 0);
  // The files of the ledger are those that its rows name, and no more.
  EXPECT_EQ(std::distance(fs::directory_iterator(sites.second() / "ledger/data"), {}),
            std::distance(fs::directory_iterator(sites.first().directory() / "ledger/data"), {}));

  // Until it takes over nothing is written there, and nothing linked.
  const auto symbol = sites.symbols().at("131016").at(7);
  EXPECT_THAT(sites.link_second(symbol), HasSubstr("stands by"));
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"agency", "suspend", "131016"},
        {"freeze", "issue", "--reason", "x"},
        {"backup", (sites.scratch() / "b").string()},
        {"ship", sites.folder().string()},
        {"ship", sites.folder().string(), "--final"}}) {
    const auto refused = sites.at_second(words);
    EXPECT_EQ(refused.exit_code, 1) << words.front() << refused.err;
    EXPECT_THAT(refused.err, HasSubstr("stands by"));
  }

  const auto taken = sites.take_over();
  ASSERT_EQ(taken.exit_code, 0) << taken.err;
  EXPECT_EQ(taken.json()["epoch"], 2);
  EXPECT_EQ(sites.digest_second(), sites.digest_first());
  EXPECT_EQ(sites.at_second({"verify"}).exit_code, 0);
  EXPECT_THAT(sites.link_second(symbol), HasSubstr(",ok," + sites.symbols().at("472018").at(7)));
  EXPECT_THAT(sites.link_second(sites.symbols().at("141003").at(8), "141003"),
              HasSubstr(",ok," + sites.symbols().at("472018").at(8)));
  EXPECT_EQ(sites.issue_second("N2", 500), made);
  // Whoever both sites issue to gets the same symbol.
  EXPECT_EQ(sites.issue_second("N3", 900), sites.issue_first("N3", 900));
  EXPECT_EQ(sites.at_second({"verify"}).exit_code, 0);
  EXPECT_EQ(sites.at_second({"--json", "status"}).json()["sites"]["standby"], nullptr);
  EXPECT_EQ(sites.take_over().exit_code, 1);
  EXPECT_EQ(sites.follow().exit_code, 1);
}

TEST(Follow, WithNothingNewNothingIsSent) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  const auto again = sites.ship();
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.json()["sent"], false);
  EXPECT_FALSE(fs::exists(sites.shipment(2)));
  const auto always = sites.ship({"--always"});
  ASSERT_EQ(always.exit_code, 0) << always.err;
  EXPECT_EQ(always.json()["new_files"], 0);
  EXPECT_TRUE(fs::exists(sites.shipment(2)));
}

TEST(Follow, WhatIsSentCannotBeReadAndEachFileIsSentOnce) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  (void)sites.issue_first("N1", 500);
  ASSERT_EQ(sites.ship().exit_code, 0);
  std::map<std::string, int> sent;
  const auto symbol = sites.symbols().at("131016").at(7);
  for (const auto& entry : fs::recursive_directory_iterator(sites.folder())) {
    if (!entry.is_regular_file()) continue;
    const auto content = read_file(entry.path());
    EXPECT_THAT(content, Not(HasSubstr(symbol))) << entry.path();
    EXPECT_THAT(content, Not(HasSubstr(resident_code(7)))) << entry.path();
    EXPECT_THAT(content, Not(HasSubstr("131016"))) << entry.path();
    EXPECT_THAT(content, Not(HasSubstr("PRIVATE"))) << entry.path();
    if (entry.path().extension() == ".fugo") ++sent[entry.path().filename().string()];
  }
  ASSERT_GT(sent.size(), 3U);
  for (const auto& [name, times] : sent) EXPECT_EQ(times, 1) << name;
  // A second site begins with the whole one, and goes on.
  const auto found = sites.found();
  EXPECT_EQ(found.exit_code, 0) << found.err;
  EXPECT_EQ(found.json()["applied"], 2);
}

TEST(Follow, GapsOtherOrdersAndOtherLedgersAreRefused) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  for (int i = 2; i <= 4; ++i) {
    (void)sites.issue_first("N" + std::to_string(i), 500 + static_cast<std::uint64_t>(i));
    ASSERT_EQ(sites.ship().exit_code, 0);
  }
  const auto before = sites.digest_second();
  const auto away = sites.scratch() / "away";
  fs::rename(sites.shipment(2), away);
  const auto gap = sites.follow();
  EXPECT_EQ(gap.exit_code, 1);
  EXPECT_THAT(gap.err, HasSubstr("shipment 2 is missing"));
  // The third under the second's name, and the second's signature under the third's inventory.
  fs::copy(sites.shipment(3), sites.shipment(2), fs::copy_options::recursive);
  EXPECT_EQ(sites.follow().exit_code, 5);
  fs::copy(away / "shipment.json.sig", sites.shipment(2) / "shipment.json.sig",
           fs::copy_options::overwrite_existing);
  EXPECT_THAT(sites.follow().err, HasSubstr("not signed by this ledger's journal key"));
  fs::remove_all(sites.shipment(2));
  // Another ledger's, whole and well signed by its own key.
  const TestSite other(std::vector<std::string>{});
  fs::create_directory(other.scratch() / "s");
  ASSERT_EQ(other.run({"ship", (other.scratch() / "s").string()}).exit_code, 0);
  fs::copy(other.scratch() / "s/shipment-0000000001", sites.shipment(2),
           fs::copy_options::recursive);
  const auto strange = sites.follow();
  EXPECT_EQ(strange.exit_code, 5);
  EXPECT_THAT(strange.err, HasSubstr("not signed by this ledger's journal key"));
  fs::remove_all(sites.shipment(2));
  EXPECT_EQ(sites.digest_second(), before);
  EXPECT_EQ(sites.take_over().exit_code, 1);  // shipments lie unapplied

  fs::rename(away, sites.shipment(2));
  const auto done = sites.follow({"--verify"});
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(done.json()["applied"], 3);
  EXPECT_EQ(sites.digest_second(), sites.digest_first());
}

TEST(Follow, AWholeShipmentBridgesWhatIsLost) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  (void)sites.issue_first("N2", 502);
  ASSERT_EQ(sites.ship().exit_code, 0);
  fs::remove_all(sites.shipment(2));
  (void)sites.issue_first("N3", 503);
  ASSERT_EQ(sites.ship({"--whole"}).exit_code, 0);
  const auto done = sites.follow();
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(done.json()["standby"]["shipment"], 3);
  EXPECT_EQ(sites.digest_second(), sites.digest_first());
  ASSERT_EQ(sites.found("another").exit_code, 0);
  EXPECT_EQ(sites.digest_second("another"), sites.digest_first());
}

TEST(Follow, OneFlippedByteAnywhereIsRefusedAndNothingOfItIsUsed) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  (void)sites.issue_first("N1", 500);
  ASSERT_EQ(sites.ship().exit_code, 0);
  const auto before = sites.digest_second();
  std::size_t flips = 0;
  for (const auto& entry : fs::recursive_directory_iterator(sites.shipment(2))) {
    if (!entry.is_regular_file() || entry.path().extension() == ".pem") continue;
    const auto sound = read_file(entry.path());
    for (std::size_t i = 0; i < 3; ++i, ++flips) {
      auto content = sound;
      auto& byte = content.at(i * (content.size() - 1) / 2);
      byte = static_cast<char>(byte ^ 0x10);
      write_file(entry.path(), content);
      const auto refused = sites.follow();
      EXPECT_EQ(refused.exit_code, 5) << entry.path() << i << refused.err;
    }
    write_file(entry.path(), sound);
  }
  EXPECT_GE(flips, 12U);
  EXPECT_EQ(sites.digest_second(), before);
  ASSERT_EQ(sites.follow().exit_code, 0);
  EXPECT_EQ(sites.digest_second(), sites.digest_first());
}

TEST(Follow, AFirstSiteThatWasPutBackIsNotFollowed) {
  const TwoSites sites;
  const auto old = sites.scratch() / "old";
  fs::copy(sites.first().directory() / "ledger", old, fs::copy_options::recursive);
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  (void)sites.issue_first("N1", 500);
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.follow().exit_code, 0);
  const auto before = sites.digest_second();
  // The ledger as it was before the first shipment; what it did since is another story.
  fs::remove_all(sites.first().directory() / "ledger");
  fs::rename(old, sites.first().directory() / "ledger");
  fs::remove_all(sites.folder());
  fs::create_directory(sites.folder());
  for (int i = 0; i < 3; ++i) {
    (void)sites.issue_first("M" + std::to_string(i), 600 + static_cast<std::uint64_t>(i));
    const auto sent = sites.ship({"--whole"});
    ASSERT_EQ(sent.exit_code, 0) << sent.err;
  }
  const auto refused = sites.follow();
  EXPECT_EQ(refused.exit_code, 5) << refused.err;
  // Where only what comes after the second site's last is there, its journal tells.
  for (const int number : {1, 2}) fs::remove_all(sites.shipment(number));
  const auto parted = sites.follow();
  EXPECT_EQ(parted.exit_code, 5) << parted.out;
  EXPECT_THAT(parted.err, HasSubstr("does not go on from entry"));
  EXPECT_EQ(sites.digest_second(), before);
}

TEST(Follow, AHandOverLosesNothingAndFencesTheFirstSite) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  (void)sites.issue_first("N1", 500);
  ASSERT_EQ(sites.first().run({"freeze", "link", "--reason", "a drill"}).exit_code, 0);
  const auto final = sites.ship({"--final"});
  ASSERT_EQ(final.exit_code, 0) << final.err;
  EXPECT_EQ(final.json()["final"], true);
  const auto stands = sites.first().run({"--json", "status"}).json()["frozen"];
  EXPECT_EQ(stands["issue"], "handed over to the second site");
  EXPECT_EQ(stands["link"], "a drill");
  // Both journals end with the same entry: the first site wrote nothing since.
  ASSERT_EQ(sites.follow().exit_code, 0);
  EXPECT_EQ(sites.at_second({"journal", "show", "--last", "1"}).out,
            sites.first().run({"journal", "show", "--last", "1"}).out);
  const auto request = sites.scratch() / "L.csv";
  write_file(request, request_text("L", {{"1", "131016", resident_code(1)}}));
  const auto late = sites.first().run(
      {"issue", request.string(), "--out", (sites.scratch() / "answers").string()});
  EXPECT_EQ(late.exit_code, 1);
  EXPECT_THAT(late.err, HasSubstr("stands by"));
  EXPECT_EQ(sites.first().run({"--json", "status"}).json()["sites"]["standby"]["state"],
            "handed over");
  EXPECT_EQ(sites.ship({"--final"}).json()["sent"], false);
  EXPECT_EQ(sites.ship().exit_code, 1);
  const auto follows = sites.first().run({"follow", sites.folder().string()});
  EXPECT_EQ(follows.exit_code, 1);
  EXPECT_THAT(follows.err, HasSubstr("does not follow another"));
  ASSERT_EQ(sites.take_over().exit_code, 0);
  const auto frozen = sites.at_second({"--json", "status"}).json()["frozen"];
  EXPECT_EQ(frozen["issue"], "");
  EXPECT_EQ(frozen["link"], "a drill") << "somebody else's freeze is not the handing over's";
  (void)sites.issue_second("N2", 700);
  EXPECT_EQ(sites.at_second({"verify"}).exit_code, 0);
}

TEST(Follow, AFirstSiteThatHandedOverMayTakeBackAndIsFollowedAgain) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  ASSERT_EQ(sites.ship({"--final"}).exit_code, 0);
  EXPECT_EQ(sites.first().run({"--json", "status"}).json()["frozen"]["link"],
            "handed over to the second site");
  const auto mark = sites.first().directory() / "ledger/standby.json";
  const auto kept = read_file(mark);
  const std::vector<std::string> take_back = {"--json", "takeover", "--reason",
                                              "it does not start"};
  ASSERT_EQ(sites.first().run(take_back).exit_code, 0);
  // As if it had died before the mark was removed: noted once.
  const auto head = sites.first().run({"journal", "show", "--last", "1"}).out;
  write_file(mark, kept);
  const auto again = sites.first().run(take_back);
  EXPECT_EQ(again.json()["epoch"], 2) << again.err;
  EXPECT_EQ(sites.first().run({"journal", "show", "--last", "1"}).out, head);
  EXPECT_EQ(sites.first().run({"--json", "status"}).json()["frozen"]["link"], "");
  (void)sites.issue_first("N1", 500);
  ASSERT_EQ(sites.ship().exit_code, 0);
  const auto followed = sites.follow();
  ASSERT_EQ(followed.exit_code, 0) << followed.err;
  EXPECT_EQ(followed.json()["standby"]["shipment"], 3);
  EXPECT_EQ(sites.digest_second(), sites.digest_first());
}

TEST(Follow, ASiteThatTookOverSendsToItsOwnSecondSite) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  ASSERT_EQ(sites.take_over().exit_code, 0);
  (void)sites.issue_second("N1", 500);
  const auto back = sites.scratch() / "back";
  fs::create_directory(back);
  const auto sent = sites.at_second({"ship", back.string()});
  ASSERT_EQ(sent.exit_code, 0) << sent.err;
  const auto third = sites.scratch() / "third";
  ASSERT_EQ(sites.first().run({"follow", back.string(), "--dir", third.string()}).exit_code, 0);
  EXPECT_EQ(run_fugo({"--config", (third / "fugo.toml").string(), "digest"}).out,
            sites.digest_second());
}

// What nobody looked at before it was sent.
TEST(Follow, DamageThatWasSentIsFoundByWhoVerifies) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  fs::path largest;
  for (const auto& entry : fs::directory_iterator(sites.first().directory() / "ledger/data"))
    if (largest.empty() || entry.file_size() > fs::file_size(largest)) largest = entry.path();
  auto content = read_file(largest);
  auto& byte = content.at(content.size() / 2);
  byte = static_cast<char>(byte ^ 1);
  write_file(largest, content);
  ASSERT_EQ(sites.ship({"--whole"}).exit_code, 0);
  EXPECT_EQ(sites.found("another").exit_code, 5);
  EXPECT_FALSE(fs::exists(sites.second("another")));
  const auto found = sites.follow({"--verify"});
  EXPECT_EQ(found.exit_code, 5) << found.out;
  EXPECT_EQ(sites.at_second({"verify"}).exit_code, 0);
  // Without, a takeover finds it, unless minutes count.
  ASSERT_EQ(sites.follow().exit_code, 0);
  const auto refused = sites.take_over();
  EXPECT_EQ(refused.exit_code, 5) << refused.out;
  EXPECT_THAT(refused.err, HasSubstr("fugo verify on the first site"));
  EXPECT_EQ(sites.take_over({"--unverified"}).exit_code, 0);
}

// A second site's ledger that somebody has put back is neither followed on nor taken over.
TEST(Follow, ASecondSiteThatWasPutBackIsFound) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  const auto ledger = sites.second() / "ledger", old = sites.scratch() / "old";
  fs::copy(ledger, old, fs::copy_options::recursive);
  (void)sites.issue_first("N1", 500);
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.follow().exit_code, 0);
  fs::copy(ledger / "standby.json", old / "standby.json", fs::copy_options::overwrite_existing);
  fs::remove_all(ledger);
  fs::rename(old, ledger);
  const auto taken = sites.take_over();
  EXPECT_EQ(taken.exit_code, 5) << taken.out;
  EXPECT_THAT(taken.err, HasSubstr("not as the last shipment left it"));
  (void)sites.issue_first("N2", 501);
  ASSERT_EQ(sites.ship().exit_code, 0);
  const auto followed = sites.follow();
  EXPECT_EQ(followed.exit_code, 5) << followed.out;
  EXPECT_THAT(followed.err, HasSubstr("not as the last shipment left it"));
}

// A hand-over that dies after its mark and before its entry, at a site whose last act was to take
// over: taking it back is an act of its own, in an epoch of its own.
TEST(Follow, TakingBackAHandOverThatDiedIsNoted) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  ASSERT_EQ(sites.take_over().exit_code, 0);
  const auto ledger = sites.second() / "ledger", kept = sites.scratch() / "kept";
  fs::copy(ledger, kept, fs::copy_options::recursive);
  const auto back = sites.scratch() / "back";
  fs::create_directory(back);
  ASSERT_EQ(sites.at_second({"ship", back.string(), "--final"}).exit_code, 0);
  fs::copy(ledger / "standby.json", kept / "standby.json");
  fs::remove_all(ledger);
  fs::rename(kept, ledger);
  const auto taken = sites.take_over();
  ASSERT_EQ(taken.exit_code, 0) << taken.err;
  EXPECT_EQ(taken.json()["epoch"], 3);
  const auto shown = sites.at_second({"--json", "journal", "show", "--last", "1"}).json();
  EXPECT_EQ(shown["entries"][0]["act"], "takeover");
  EXPECT_EQ(shown["entries"][0]["details"]["epoch"], 3);
}

}  // namespace
}  // namespace fugo::test
