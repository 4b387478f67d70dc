// A site with an exchange key, and senders and agencies whose side is the openssl command.
#pragma once

#include <filesystem>
#include <string>

#include "tests/daemon/site_fixture.h"

namespace fugo::test {

// shell runs a command line in `directory`; what it wrote to standard output and error goes into
// the result.
CommandResult shell(const std::filesystem::path& directory, const std::string& command);

// ExchangeSite is a TestSite with one exchange key (recipient.pem in the scratch directory) and one
// known sender, "jlis" (jlis.key, jlis.pem).
class ExchangeSite {
 public:
  ExchangeSite();

  [[nodiscard]] const TestSite& site() const { return site_; }
  [[nodiscard]] std::filesystem::path scratch() const { return site_.scratch(); }

  // openssl runs a command in the scratch directory; it must succeed.
  std::string openssl(const std::string& arguments) const;
  // make_identity makes NAME.key and NAME.pem; `more` are further arguments of openssl req.
  void make_identity(const std::string& name, const std::string& more = {}) const;
  // know makes the owner of a certificate a known sender.
  void know(const std::string& name) const;

  // seal signs and encrypts a text as docs/exchange.md says, and gives the file NAME.p7m. Either
  // step's options can be replaced.
  static constexpr const char* kSign =
      "-binary -nodetach -md sha256 -signer jlis.pem -inkey jlis.key";
  static constexpr const char* kEncrypt =
      "-binary -aes-256-gcm -recip recipient.pem -keyopt rsa_padding_mode:oaep";
  std::filesystem::path seal(const std::string& name, const std::string& text,
                             const std::string& sign = kSign,
                             const std::string& encrypt = kEncrypt) const;

  // issue runs fugo issue; the answers are in OUT/<id>.
  [[nodiscard]] CommandResult issue(const std::filesystem::path& request,
                                    const std::string& out = "out") const;
  // opened is what an encrypted answer says to the owner of NAME.key.
  [[nodiscard]] std::string opened(const std::filesystem::path& answer,
                                   const std::string& name) const;

 private:
  TestSite site_;
};

}  // namespace fugo::test
