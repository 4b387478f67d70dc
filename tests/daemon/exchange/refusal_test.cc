// Encrypted requests that are not taken: each with its reason, and nothing applied.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/daemon/exchange/exchange_site.h"
#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/jobs/trial_requests.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const std::string kText = request_text("J1", trial_rows(0, 20, {"131016", "472018"}));
const std::string kTo = "-recip recipient.pem ";
const std::string kOaep = "-keyopt rsa_padding_mode:oaep";

class Refusals : public ::testing::Test {
 protected:
  // expect_refused runs issue and check, and looks that neither did anything.
  void expect_refused(const fs::path& request, const std::string& reason) {
    SCOPED_TRACE(request.string() + ": " + reason);
    const std::string before = digest_of(site_.site());
    for (const char* command : {"issue", "check"}) {
      std::vector<std::string> arguments = {command, request.string()};
      if (std::string(command) == "issue") {
        arguments.push_back("--out");
        arguments.push_back((site_.scratch() / "out").string());
      }
      const auto refused = site_.site().run(arguments);
      EXPECT_EQ(refused.exit_code, 1) << refused.out << refused.err;
      EXPECT_THAT(refused.err, HasSubstr(reason));
      for (std::uint64_t i = 0; i < 20; ++i)
        EXPECT_EQ(refused.err.find(resident_code(i)), std::string::npos);
    }
    EXPECT_EQ(digest_of(site_.site()), before);
    EXPECT_FALSE(fs::exists(site_.scratch() / "out/J1"));
  }

  // changed is a copy of a message with other bytes.
  fs::path changed(const std::string& name, std::string bytes) const {
    write_file(site_.scratch() / name, bytes);
    return site_.scratch() / name;
  }

  ExchangeSite site_;
};

TEST_F(Refusals, OfWhoSigned) {
  site_.make_identity("stranger");
  expect_refused(
      site_.seal("unknown", kText,
                 "-binary -nodetach -md sha256 -signer stranger.pem -inkey stranger.key"),
      "who signed it is not a known sender");
  // A certificate that calls itself what the known one does, but of another key.
  const std::string serial = site_.openssl("x509 -noout -serial -in jlis.pem");
  const std::string number = serial.substr(serial.find('=') + 1, serial.find('\n') - 7);
  site_.make_identity(
      "forger",
      "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=jlis -set_serial 0x" + number);
  expect_refused(site_.seal("forged", kText,
                            "-binary -nodetach -md sha256 -signer forger.pem -inkey forger.key"),
                 "the signature is not that of jlis");
  expect_refused(site_.seal("two", kText,
                            "-binary -nodetach -md sha256 -signer jlis.pem -inkey jlis.key -signer "
                            "stranger.pem -inkey stranger.key"),
                 "exactly one sender");
  // Expired yesterday; and not valid before tomorrow is no better.
  site_.openssl("req -new -newkey rsa:2048 -nodes -keyout old.key -subj /CN=old -out old.csr");
  site_.openssl("x509 -req -in old.csr -signkey old.key -days -1 -out old.pem");
  site_.know("old");
  expect_refused(
      site_.seal("expired", kText, "-binary -nodetach -md sha256 -signer old.pem -inkey old.key"),
      "certificate old has expired");
  // A certificate for something else.
  site_.make_identity("box",
                      "-newkey rsa:2048 -subj /CN=box -addext keyUsage=critical,keyEncipherment");
  site_.know("box");
  expect_refused(
      site_.seal("usage", kText, "-binary -nodetach -md sha256 -signer box.pem -inkey box.key"),
      "is not one for signatures");
}

TEST_F(Refusals, OfWhatIsNotSignedOrNotWhole) {
  const std::string rest = " -signer jlis.pem -inkey jlis.key";
  expect_refused(site_.seal("unsigned", kText, ""), "what is inside is not signed");
  expect_refused(site_.seal("detached", kText, "-binary -md sha256" + rest),
                 "does not have the request in it");
  expect_refused(site_.seal("sha1", kText, "-binary -nodetach -md sha1" + rest),
                 "another digest than SHA-256");
  expect_refused(site_.seal("noattr", kText, "-binary -nodetach -md sha256 -noattr" + rest),
                 "its signature has no attributes");
  expect_refused(site_.seal("signed", kText, ExchangeSite::kSign, ""),
                 "is signed, but not encrypted");
  // Something else than a request inside.
  expect_refused(site_.seal("other", "hello\n"), "other.p7m:1");
  write_file(site_.scratch() / "sealed-csv", kText);
  site_.openssl("cms -encrypt -in sealed-csv -binary -aes-256-gcm -outform PEM -out pem.p7m " +
                kTo + kOaep);
  expect_refused(site_.scratch() / "pem.p7m", "give openssl cms the option -outform DER");
}

TEST_F(Refusals, OfHowItIsEncrypted) {
  expect_refused(
      site_.seal("cbc", kText, ExchangeSite::kSign, "-binary -aes-256-cbc " + kTo + kOaep),
      "encrypted without authentication");
  expect_refused(
      site_.seal("gcm128", kText, ExchangeSite::kSign, "-binary -aes-128-gcm " + kTo + kOaep),
      "cipher is not AES-256-GCM");
  expect_refused(site_.seal("pkcs1", kText, ExchangeSite::kSign, "-binary -aes-256-gcm " + kTo),
                 "not encrypted by RSA-OAEP with SHA-1");
  expect_refused(site_.seal("sha256", kText, ExchangeSite::kSign,
                            "-binary -aes-256-gcm " + kTo + kOaep +
                                " -keyopt rsa_oaep_md:sha256 -keyopt rsa_mgf1_md:sha256"),
                 "not encrypted by RSA-OAEP with SHA-1");
  site_.make_identity("other", "-newkey rsa:3072 -subj /CN=other");
  expect_refused(site_.seal("elsewhere", kText, ExchangeSite::kSign,
                            "-binary -aes-256-gcm -recip other.pem " + kOaep),
                 "not encrypted to any key of this site");
  // The name of our certificate on a message to another key.
  const std::string name = site_.openssl("x509 -noout -issuer -nameopt compat -in recipient.pem");
  const std::string serial = site_.openssl("x509 -noout -serial -in recipient.pem");
  site_.make_identity(
      "ours",
      "-newkey rsa:3072 -set_serial 0x" +
          serial.substr(serial.find('=') + 1, serial.find('\n') - 7) + " -subj '/O=fugo/CN=" +
          name.substr(name.find("journal key"), name.find('\n') - name.find("journal key")) + "'");
  expect_refused(site_.seal("named", kText, ExchangeSite::kSign,
                            "-binary -aes-256-gcm -recip ours.pem " + kOaep),
                 "was not encrypted to this site's key");
  site_.site().set_config("[ledger]", "[exchange]\nlargest_mib = 1\n\n[ledger]");
  std::string large = kText;
  large.append(std::size_t{2} << 20U, '\n');
  expect_refused(site_.seal("large", large), "split it into several requests");
}

// libcrypto makes objects of many times the size of what it parses: what is not content must be
// small before anything is parsed, outside and inside.
TEST_F(Refusals, OfMuchBesideTheContent) {
  site_.make_identity("other", "-newkey rsa:3072 -subj /CN=other");
  std::string receivers = "-binary -aes-256-gcm -recip recipient.pem " + kOaep;
  for (int i = 0; i < 200; ++i) receivers += " -recip other.pem " + kOaep;
  expect_refused(site_.seal("receivers", kText, ExchangeSite::kSign, receivers),
                 "bytes beside its content, more than the 65536");
  site_.make_identity("fat",
                      "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=fat "
                      "-addext nsComment=" +
                          std::string(70'000, 'x'));
  const std::string with_fat = std::string(ExchangeSite::kSign) + " -certfile fat.pem";
  for (const char* form : {"", "-stream "})
    expect_refused(site_.seal("inside", kText, form + with_fat), "what is inside has");
  // Certificates where the content would be are none.
  expect_refused(
      site_.seal("detached", kText,
                 "-binary -md sha256 -signer jlis.pem -inkey jlis.key -certfile fat.pem"),
      "what is inside has");
  // As much in the content is taken, in both forms.
  std::string large = kText;
  large.append(std::size_t{200} << 10U, '\n');
  expect_refused(site_.seal("large", large), "large.p7m:");
  expect_refused(site_.seal("large-stream", large, std::string("-stream ") + ExchangeSite::kSign,
                            "-stream -binary -aes-256-gcm " + kTo + kOaep),
                 "large-stream.p7m:");
}

TEST_F(Refusals, OfEveryChangedByteAndEveryTruncation) {
  const std::string whole = read_file(
      site_.seal("J1", kText, ExchangeSite::kSign, "-stream -binary -aes-256-gcm " + kTo + kOaep));
  const std::size_t step = whole.size() / 40;
  // Not the envelope's head: nothing there but names what the seal is checked with.
  for (std::size_t at = 600; at < whole.size(); at += step) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    const auto refused = site_.issue(changed("flipped.p7m", bytes));
    EXPECT_EQ(refused.exit_code, 1) << at << refused.out;
    EXPECT_FALSE(fs::exists(site_.scratch() / "out/J1")) << at;
  }
  for (std::size_t size = 2; size < whole.size(); size += 2 * step) {
    const auto refused = site_.issue(changed("cut.p7m", whole.substr(0, size)));
    EXPECT_EQ(refused.exit_code, 1) << size << refused.out;
  }
  // One byte of the tag, and of the cipher text, by name.
  std::string bytes = whole;
  bytes[whole.size() / 2] = static_cast<char>(bytes[whole.size() / 2] ^ 1);
  expect_refused(changed("text.p7m", bytes), "was changed on its way");
  expect_refused(changed("more.p7m", whole + "x"), "has bytes behind its end");
  // A tag of four bytes in place of sixteen could be guessed.
  const std::size_t tag = whole.rfind(std::string("\x04\x10", 2));
  ASSERT_NE(tag, std::string::npos);
  bytes = whole.substr(0, tag) + std::string("\x04\x04", 2) + whole.substr(tag + 2, 4) +
          whole.substr(tag + 18);
  expect_refused(changed("short.p7m", bytes), "with a tag of 16 bytes");
  // Another cipher of the same parameters, by one byte that nothing vouches for.
  const std::size_t cipher = whole.find("\x60\x86\x48\x01\x65\x03\x04\x01\x2E");
  ASSERT_NE(cipher, std::string::npos);
  bytes = whole;
  bytes[cipher + 8] = '\x1A';  // AES-192-GCM
  expect_refused(changed("cipher.p7m", bytes), "is not AES-256-GCM");
  // What was not changed is as good as before.
  EXPECT_EQ(site_.issue(changed("J1.p7m", whole)).exit_code, 0);
}

TEST_F(Refusals, OfWhatASiteIsNotMadeFor) {
  const auto sealed = site_.seal("J1", kText);
  site_.site().set_config("[ledger]", "[exchange]\nrequire_encrypted = true\n\n[ledger]");
  write_file(site_.scratch() / "J1.csv", kText);
  expect_refused(site_.scratch() / "J1.csv", "is not encrypted, and this site takes no other");
  const TestSite plain;
  fs::copy_file(sealed, plain.scratch() / "J1.p7m");
  const auto refused = plain.run({"issue", (plain.scratch() / "J1.p7m").string(), "--out",
                                  (plain.scratch() / "out").string()});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("fugo exchange create"));
  // A folder of senders that cannot be read as one is no fault of the request.
  write_file(site_.site().directory() / "senders/broken.pem", "no certificate\n");
  const auto usage = site_.issue(sealed);
  EXPECT_EQ(usage.exit_code, 2) << usage.err;
  fs::remove(site_.site().directory() / "senders/broken.pem");
  EXPECT_EQ(site_.issue(sealed).exit_code, 0);
}

}  // namespace
}  // namespace fugo::test
