#include "tests/daemon/exchange/exchange_site.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>

namespace fugo::test {

namespace fs = std::filesystem;

CommandResult shell(const fs::path& directory, const std::string& command) {
  const auto out = directory / ".shell.out", err = directory / ".shell.err";
  const int status = std::system(("cd '" + directory.string() + "' && { " + command + "\n} >'" +
                                  out.string() + "' 2>'" + err.string() + "'")
                                     .c_str());
  CommandResult result;
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = read_file(out);
  result.err = read_file(err);
  fs::remove(out);
  fs::remove(err);
  return result;
}

ExchangeSite::ExchangeSite() {
  const auto made = site_.run({"--json", "exchange", "create", "--days", "30"});
  EXPECT_EQ(made.exit_code, 0) << made.err;
  fs::copy_file(made.json()["certificate"].get<std::string>(), scratch() / "recipient.pem");
  make_identity("jlis");
  know("jlis");
}

std::string ExchangeSite::openssl(const std::string& arguments) const {
  const auto done = shell(scratch(), "openssl " + arguments);
  EXPECT_EQ(done.exit_code, 0) << arguments << "\n" << done.err;
  return done.out;
}

void ExchangeSite::make_identity(const std::string& name, const std::string& more) const {
  openssl("req -x509 -nodes -keyout " + name + ".key -out " + name + ".pem -days 30 " +
          (more.empty() ? "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=" + name : more));
}

void ExchangeSite::know(const std::string& name) const {
  fs::create_directory(site_.directory() / "senders");
  fs::copy_file(scratch() / (name + ".pem"), site_.directory() / "senders" / (name + ".pem"));
}

fs::path ExchangeSite::seal(const std::string& name, const std::string& text,
                            const std::string& sign, const std::string& encrypt) const {
  write_file(scratch() / "clear", text);
  const std::string file = name + ".p7m";
  const std::string signing =
      sign.empty() ? "cat clear" : "openssl cms -sign -in clear -outform DER " + sign;
  const std::string encrypting =
      encrypt.empty() ? "cat" : "openssl cms -encrypt -outform DER " + encrypt;
  const auto done = shell(scratch(), signing + " | " + encrypting + " >" + file);
  EXPECT_EQ(done.exit_code, 0) << done.err;
  fs::remove(scratch() / "clear");
  return scratch() / file;
}

CommandResult ExchangeSite::issue(const fs::path& request, const std::string& out) const {
  return site_.run({"--json", "issue", request.string(), "--out", (scratch() / out).string()});
}

std::string ExchangeSite::opened(const fs::path& answer, const std::string& name) const {
  return openssl("cms -decrypt -binary -inform DER -in '" + answer.string() + "' -recip " + name +
                 ".pem -inkey " + name + ".key");
}

}  // namespace fugo::test
