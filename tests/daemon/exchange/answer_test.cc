// What is written for an agency that has a certificate: opened with openssl, and by nobody else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/daemon/exchange/exchange_site.h"
#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/jobs/trial_requests.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// 131016 has an RSA certificate, 472018 an EC one, 131130 none.
class SealedAnswers : public ::testing::Test {
 protected:
  SealedAnswers() {
    site_.make_identity("a131016", "-newkey rsa:3072 -subj /CN=131016");
    site_.make_identity("a472018");
    for (const char* code : {"131016", "472018"}) give(code);
  }
  void give(const std::string& code) const {
    const auto given = site_.site().run(
        {"agency", "certificate", code, (site_.scratch() / ("a" + code + ".pem")).string()});
    EXPECT_EQ(given.exit_code, 0) << given.err;
  }
  [[nodiscard]] CommandResult run(const std::vector<std::string>& arguments) const {
    return site_.site().run(arguments);
  }
  fs::path write(const std::string& id, const std::string& text) const {
    write_file(site_.scratch() / (id + ".csv"), text);
    return site_.scratch() / (id + ".csv");
  }
  [[nodiscard]] std::string answer(const std::string& folder, const std::string& code) const {
    return site_.opened(site_.scratch() / folder / (code + ".csv.p7m"), "a" + code);
  }
  [[nodiscard]] std::string sha256_of(const fs::path& file) const {
    return site_.openssl("dgst -sha256 -r '" + file.string() + "'").substr(0, 64);
  }
  // issue_all issues residents [0, count) at every agency.
  void issue_all(std::size_t count) const {
    std::vector<TrialRow> rows;
    for (std::size_t i = 0; i < count; ++i)
      for (const auto& agency : agencies_)
        rows.push_back({"PN" + std::to_string(100 + i), agency, resident_code(i)});
    EXPECT_EQ(site_.issue(write("ALL", request_text("ALL", rows))).exit_code, 0);
  }
  ExchangeSite site_;
  const std::vector<std::string> agencies_ = {"131016", "472018", "131130"};
};

TEST_F(SealedAnswers, SayWhatTheySayInTheClear) {
  const auto request = write("J1", request_text("J1", trial_rows(0, 2'000, agencies_)));
  ASSERT_EQ(site_.issue(request).exit_code, 0);
  const auto folder = site_.scratch() / "out/J1";
  EXPECT_FALSE(fs::exists(folder / "131016.csv"));
  EXPECT_FALSE(fs::exists(folder / "472018.csv"));
  EXPECT_TRUE(fs::exists(folder / "131130.csv"));
  const auto listed = run({"agency", "list"});
  EXPECT_THAT(listed.out, HasSubstr("ENCRYPTED UNTIL"));

  // The same job, answered again without certificates: every byte is the same.
  for (const char* code : {"131016", "472018"})
    EXPECT_EQ(run({"agency", "certificate", code, "--remove"}).exit_code, 0);
  const auto clear = site_.issue(request, "clear");
  ASSERT_EQ(clear.exit_code, 0) << clear.err;
  EXPECT_EQ(clear.json()["repeated"], true);
  const auto files = csv_files(site_.scratch() / "clear/J1");
  EXPECT_EQ(answer("out/J1", "131016"), files.at("131016.csv"));
  EXPECT_EQ(answer("out/J1", "472018"), files.at("472018.csv"));
  EXPECT_EQ(read_file(folder / "131130.csv"), files.at("131130.csv"));

  // The summary tells of both, and the digest is that of the clear text.
  const auto summary = nlohmann::json::parse(read_file(folder / "summary.json"));
  const auto other = nlohmann::json::parse(read_file(site_.scratch() / "clear/J1/summary.json"));
  EXPECT_EQ(summary["answers_digest"], other["answers_digest"]);
  EXPECT_EQ(summary["files"][0]["encrypted"], "131016.csv.p7m");
  EXPECT_EQ(summary["files"][0]["sha256"], other["files"][0]["sha256"]);
  // Neither receiver opens the other's.
  EXPECT_NE(shell(site_.scratch(),
                  "openssl cms -decrypt -binary -inform DER -in out/J1/131016.csv.p7m -recip "
                  "a472018.pem -inkey a472018.key >/dev/null")
                .exit_code,
            0);
  // None of its symbols is anywhere in the site.
  std::vector<std::string> symbols;
  for (const auto& line : split_lines(files.at("131016.csv")))
    if (line.size() == 4 && line[2] == "1") symbols.push_back(line[1]);
  ASSERT_GT(symbols.size(), 100U);
  for (const auto& entry : fs::recursive_directory_iterator(site_.site().directory())) {
    const std::string content = entry.is_regular_file() ? read_file(entry.path()) : "";
    for (const auto& symbol : symbols)
      EXPECT_EQ(content.find(symbol), std::string::npos) << entry.path();
  }
}

TEST_F(SealedAnswers, AreKnownAgain) {
  const auto request = write("J1", request_text("J1", trial_rows(0, 50, agencies_)));
  ASSERT_EQ(site_.issue(request).exit_code, 0);
  const auto again = site_.issue(request);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.json()["repeated"], true);
  EXPECT_EQ(again.json()["agencies"], 3);
  const auto sealed = site_.scratch() / "out/J1/131016.csv.p7m";
  std::string bytes = read_file(sealed);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file(sealed, bytes);
  const auto changed = site_.issue(request);
  EXPECT_EQ(changed.exit_code, 1);
  EXPECT_THAT(changed.err, HasSubstr("not those that were made for this request"));
  // Anybody can encrypt to the agency, and write to the folder: a file that is told of in the
  // summary is not for that one that this site wrote.
  const auto summary = site_.scratch() / "out/J1/summary.json";
  const std::string said = read_file(summary);
  auto forged = nlohmann::ordered_json::parse(said);
  forged["files"][0]["encrypted_sha256"] = sha256_of(sealed);
  write_file(summary, forged.dump(2) + "\n");
  EXPECT_EQ(site_.issue(request).exit_code, 1);
  forged.erase("encrypted_mac");
  write_file(summary, forged.dump(2) + "\n");
  EXPECT_EQ(site_.issue(request).exit_code, 1);
  write_file(summary, said);
  fs::remove(sealed);  // taken away by its receiver
  EXPECT_EQ(site_.issue(request).exit_code, 0);
  // Made anew for another place: other cipher text, the same inside.
  const std::string before = answer("out/J1", "472018");
  ASSERT_EQ(site_.issue(request, "other").exit_code, 0);
  EXPECT_NE(read_file(site_.scratch() / "other/J1/472018.csv.p7m"),
            read_file(site_.scratch() / "out/J1/472018.csv.p7m"));
  EXPECT_EQ(answer("other/J1", "472018"), before);
}

TEST_F(SealedAnswers, ToChangesDeletionsAndMergers) {
  issue_all(20);
  ASSERT_EQ(run_kind(site_.site(), "C1", "change",
                     kind_text("C1", "change", {{resident_code(1), resident_code(900'001)}}))
                .exit_code,
            0);
  EXPECT_THAT(answer("out/C1", "131016"),
              HasSubstr("agency=131016,records=1\nold_symbol,new_symbol"));
  EXPECT_TRUE(fs::exists(site_.scratch() / "out/C1/131130.csv"));
  ASSERT_EQ(run_kind(site_.site(), "D1", "delete",
                     kind_text("D1", "delete", {{resident_code(2), "clerical_error"}}),
                     {"--confirm", "1"})
                .exit_code,
            0);
  EXPECT_THAT(answer("out/D1", "472018"), HasSubstr("agency=472018,records=1\nsymbol\n"));
  const auto merged = run({"agency", "merge", "--from", "131130", "--to", "131016", "--out",
                           (site_.scratch() / "merged").string()});
  ASSERT_EQ(merged.exit_code, 0) << merged.err;
  const auto folder = fs::directory_iterator(site_.scratch() / "merged")->path();
  EXPECT_THAT(site_.opened(folder / "131016.csv.p7m", "a131016"),
              HasSubstr("old_symbol,new_symbol"));
  const auto again = run({"--json", "agency", "merge", "--from", "131130", "--to", "131016",
                          "--out", (site_.scratch() / "merged").string()});
  EXPECT_EQ(again.exit_code, 0) << again.err;
}

TEST_F(SealedAnswers, MappingsOfARegeneration) {
  issue_all(20);
  const auto planned =
      run({"--json", "regenerate", "plan", "--what", "agency", "--reason", "a trial"});
  ASSERT_EQ(planned.exit_code, 0) << planned.err;
  const std::string id = planned.json()["run"];
  const std::string out = (site_.scratch() / "maps").string();
  ASSERT_EQ(run({"regenerate", "run", id, "--out", out}).exit_code, 0);
  EXPECT_THAT(answer("maps/" + id, "131016"), HasSubstr("#fugo-mapping,version=1,run=" + id));
  EXPECT_FALSE(fs::exists(site_.scratch() / "maps" / id / "131016.csv"));
  EXPECT_TRUE(fs::exists(site_.scratch() / "maps" / id / "131130.csv"));
  // The receiver knows the site's file by what the summary says of it, though nothing is signed.
  const auto sealed_file = site_.scratch() / "maps" / id / "131016.csv.p7m";
  const auto note = [&](const std::string& name) {
    const auto summary =
        nlohmann::json::parse(read_file(site_.scratch() / "maps" / id / "summary.json"));
    for (const auto& file : summary["files"])
      if (file["name"] == name) return file;
    return nlohmann::json();
  };
  EXPECT_EQ(note("131016.csv")["encrypted"], "131016.csv.p7m");
  EXPECT_EQ(note("131016.csv")["encrypted_sha256"], sha256_of(sealed_file));
  EXPECT_FALSE(note("131130.csv").contains("encrypted_sha256"));
  // Run again with nothing changed, nothing is written; for another certificate of the agency its
  // file is made anew, though name and size are the same.
  const std::string before = read_file(sealed_file);
  ASSERT_EQ(run({"regenerate", "run", id, "--out", out}).exit_code, 0);
  EXPECT_EQ(read_file(sealed_file), before);
  site_.make_identity("a131016", "-newkey rsa:3072 -subj /CN=131016");
  give("131016");
  ASSERT_EQ(run({"regenerate", "run", id, "--out", out}).exit_code, 0);
  EXPECT_EQ(read_file(sealed_file).size(), before.size());
  EXPECT_THAT(answer("maps/" + id, "131016"), HasSubstr("#fugo-mapping,version=1,run=" + id));
  EXPECT_EQ(note("131016.csv")["encrypted_sha256"], sha256_of(sealed_file));
  // A certificate that comes now: the next run of it writes that file anew, and the clear one goes.
  site_.make_identity("a131130");
  give("131130");
  ASSERT_EQ(run({"regenerate", "run", id, "--out", out}).exit_code, 0);
  EXPECT_FALSE(fs::exists(site_.scratch() / "maps" / id / "131130.csv"));
  EXPECT_THAT(answer("maps/" + id, "131130"), HasSubstr("records=20\nold_symbol,new_symbol\n"));
  ASSERT_EQ(run({"regenerate", "commit", id}).exit_code, 0);
  // What is delivered is for the certificate of today after the commit, too.
  site_.make_identity("a472018");
  give("472018");
  ASSERT_EQ(run({"regenerate", "run", id}).exit_code, 0);
  EXPECT_THAT(answer("maps/" + id, "472018"), HasSubstr("#fugo-mapping,version=1,run=" + id));
  // A crash while a certificate came leaves both forms: both are destroyed.
  write_file(site_.scratch() / "maps" / id / "131016.csv", "left over");
  for (const auto& agency : agencies_) {
    EXPECT_EQ(run({"regenerate", "ack", id, "--agency", agency}).exit_code, 0);
    EXPECT_FALSE(fs::exists(site_.scratch() / "maps" / id / (agency + ".csv.p7m")));
    EXPECT_FALSE(fs::exists(site_.scratch() / "maps" / id / (agency + ".csv")));
  }
  EXPECT_EQ(run({"regenerate", "finish", id}).exit_code, 0);
  EXPECT_EQ(run({"verify"}).exit_code, 0);
}

TEST_F(SealedAnswers, OnlyToCertificatesThatAreForIt) {
  const auto certificate = [&](const std::string& name) {
    return run({"agency", "certificate", "131016", (site_.scratch() / (name + ".pem")).string()});
  };
  site_.make_identity("signer",
                      "-newkey rsa:2048 -subj /CN=x -addext keyUsage=critical,digitalSignature");
  EXPECT_THAT(certificate("signer").err, HasSubstr("key usage"));
  site_.openssl("req -new -newkey rsa:2048 -nodes -keyout old.key -subj /CN=old -out old.csr");
  site_.openssl("x509 -req -in old.csr -signkey old.key -days -1 -out old.pem");
  EXPECT_THAT(certificate("old").err, HasSubstr("has expired"));
  site_.make_identity("weak", "-newkey rsa:1024 -subj /CN=weak");
  EXPECT_EQ(certificate("weak").exit_code, 2);
  write_file(site_.scratch() / "none.pem", "none");
  EXPECT_EQ(certificate("none").exit_code, 2);
  EXPECT_EQ(run({"agency", "certificate", "131016"}).exit_code, 2);
  EXPECT_EQ(run({"agency", "certificate", "999999", "--remove"}).exit_code, 1);
  const auto journal = run({"--json", "journal", "show"});
  EXPECT_THAT(journal.out, HasSubstr("agency.certificate"));
}

}  // namespace
}  // namespace fugo::test
