// Requests that the openssl command signed and encrypted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/exchange/exchange_site.h"
#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/jobs/trial_requests.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::vector<std::string> kAgencies = {"131016", "472018", "131130"};

// found lists the files under a folder that have one of the codes in them.
std::vector<std::string> found(const fs::path& folder, const std::vector<std::string>& codes) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const std::string content = read_file(entry.path());
    for (const auto& code : codes)
      if (content.find(code) != std::string::npos) names.push_back(entry.path().string());
  }
  return names;
}

TEST(EncryptedRequest, OfOpensslIsProcessedAndIsTheSameAsInTheClear) {
  const ExchangeSite with;
  const std::string text = request_text("J1", trial_rows(0, 200, kAgencies));
  const auto sealed = with.seal("J1", text);
  const auto issued = with.issue(sealed);
  ASSERT_EQ(issued.exit_code, 0) << issued.err;
  EXPECT_EQ(issued.json()["sender"], "jlis");
  EXPECT_EQ(issued.json()["repeated"], false);
  const auto answers = csv_files(with.scratch() / "out/J1");
  EXPECT_EQ(answers.size(), kAgencies.size() + 1);

  // Sealed anew, and in the clear: the same request, answered again by reading only.
  const auto again = with.issue(with.seal("J1-again", text), "again");
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.json()["repeated"], true);
  EXPECT_EQ(csv_files(with.scratch() / "again/J1"), answers);
  write_file(with.scratch() / "J1.csv", text);
  const auto clear = with.issue(with.scratch() / "J1.csv", "clear");
  ASSERT_EQ(clear.exit_code, 0) << clear.err;
  EXPECT_EQ(clear.json()["repeated"], true);
  EXPECT_EQ(clear.json()["sender"], nullptr);
  EXPECT_EQ(csv_files(with.scratch() / "clear/J1"), answers);

  // Who sent it is in the journal.
  const auto journal = with.site().run({"--json", "journal", "show"});
  EXPECT_THAT(journal.out, HasSubstr("\"sender\": \"jlis\"")) << journal.out;
  EXPECT_THAT(journal.out, HasSubstr("sender_certificate"));
}

TEST(EncryptedRequest, OfEveryKindAndFormOfTheMessage) {
  const ExchangeSite with;
  const std::string out = (with.scratch() / "out").string();
  // Streamed: indefinite lengths, content in pieces. An RSA sender, and a longer digest.
  with.make_identity("rsa", "-newkey rsa:3072 -subj /CN=rsa");
  with.know("rsa");
  const auto streamed =
      with.seal("J1", request_text("J1", trial_rows(0, 3'000, kAgencies)),
                "-stream -binary -nodetach -md sha512 -signer rsa.pem -inkey rsa.key",
                "-stream -binary -aes-256-gcm -recip recipient.pem -keyopt rsa_padding_mode:oaep");
  const auto issued = with.issue(streamed);
  ASSERT_EQ(issued.exit_code, 0) << issued.err;
  EXPECT_EQ(issued.json()["sender"], "rsa");
  // For several receivers, one of which is this site.
  with.make_identity("other", "-newkey rsa:3072 -subj /CN=other");
  const auto change = with.seal(
      "C1", kind_text("C1", "change", {{resident_code(1), resident_code(900'001)}}),
      ExchangeSite::kSign,
      "-binary -aes-256-gcm -recip other.pem -keyopt rsa_padding_mode:oaep -recip recipient.pem "
      "-keyopt rsa_padding_mode:oaep");
  const auto checked = with.site().run({"--json", "check", change.string()});
  ASSERT_EQ(checked.exit_code, 0) << checked.err;
  EXPECT_EQ(checked.json()["sender"], "jlis");
  const auto changed = with.site().run({"change", change.string(), "--out", out});
  ASSERT_EQ(changed.exit_code, 0) << changed.err;
  EXPECT_THAT(changed.out, HasSubstr("signed by jlis"));
  const auto deletion =
      with.seal("D1", kind_text("D1", "delete", {{resident_code(2), "clerical_error"}}));
  const auto unconfirmed = with.site().run({"delete", deletion.string(), "--out", out});
  EXPECT_EQ(unconfirmed.exit_code, 1);
  const auto deleted =
      with.site().run({"delete", deletion.string(), "--out", out, "--confirm", "1"});
  EXPECT_EQ(deleted.exit_code, 0) << deleted.err;
}

TEST(EncryptedRequest, LeavesNothingInTheClear) {
  const ExchangeSite with;
  std::vector<std::string> codes;
  constexpr std::uint64_t kFirst = 5'432'167'890;  // digits that nothing else has by chance
  for (std::uint64_t i = 0; i < 50; ++i) codes.push_back(resident_code(kFirst + i));
  const auto sealed = with.seal("J1", request_text("J1", trial_rows(kFirst, 50, kAgencies)));
  const auto issued = with.issue(sealed);
  ASSERT_EQ(issued.exit_code, 0) << issued.err;
  EXPECT_EQ(with.site().run({"check", sealed.string()}).exit_code, 0);
  write_file(with.scratch() / "log", issued.out + issued.err);
  EXPECT_THAT(found(with.scratch(), codes), IsEmpty());
  write_file(with.scratch() / "planted", "x" + codes[17]);
  EXPECT_EQ(found(with.scratch(), codes).size(), 1U);
}

TEST(EncryptedRequest, KeysAreRenewedAndOldOnesStayGoodUntilTheyAreDestroyed) {
  const ExchangeSite with;
  const auto old = with.seal("J1", request_text("J1", trial_rows(0, 10, kAgencies)));
  const auto made = with.site().run({"--json", "exchange", "create"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(made.json()["key"], "fugo-exchange-rsa3072-v2");
  const auto listed = with.site().run({"--json", "exchange", "list"});
  EXPECT_EQ(listed.exit_code, 0) << listed.err;
  EXPECT_EQ(listed.json()["keys"].size(), 2U);
  EXPECT_EQ(with.issue(old).exit_code, 0);
  // The certificate is signed by the journal key and is good for nothing but encryption.
  const auto shown = with.openssl("x509 -noout -text -in recipient.pem");
  EXPECT_THAT(shown, HasSubstr("Key Encipherment"));
  EXPECT_THAT(shown, HasSubstr("CA:FALSE"));
  EXPECT_THAT(shown, HasSubstr("ecdsa-with-SHA256"));
  const auto destroyed = with.site().run({"exchange", "destroy", "fugo-exchange-rsa3072-v1"});
  EXPECT_EQ(destroyed.exit_code, 0) << destroyed.err;
  const auto late = with.issue(with.seal("J2", request_text("J2", trial_rows(0, 5, kAgencies))));
  EXPECT_EQ(late.exit_code, 1);
  EXPECT_THAT(late.err, HasSubstr("not encrypted to any key of this site"));
  EXPECT_EQ(with.site().run({"--json", "exchange", "create"}).json()["key"],
            "fugo-exchange-rsa3072-v3");
  EXPECT_EQ(with.site().run({"verify"}).exit_code, 0);
}

}  // namespace
}  // namespace fugo::test
