// X.509 certificates that are trusted because somebody put them there: of senders, of agencies, of
// this site.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "daemon/exchange/openssl.h"
#include "hsm/recovery_package.h"

namespace fugo::daemon {

// Certificate is one that could be read. Its issuer's signature is not looked at: whoever made the
// registry or the folder that it is in vouches for it.
class Certificate {
 public:
  // read takes a file with one certificate, PEM or DER; parse takes DER. kUsage when it is none,
  // and for a key that is too weak: RSA below 2048 bits, EC on another curve than P-256, P-384 or
  // P-521, any other kind.
  [[nodiscard]] static Result<Certificate> read(const std::filesystem::path& file);
  [[nodiscard]] static Result<Certificate> parse(ByteView der, const std::string& where);

  [[nodiscard]] const std::string& name() const { return name_; }  // the file's, without ".pem"
  [[nodiscard]] X509* get() const { return x509_.get(); }
  [[nodiscard]] Result<std::vector<std::uint8_t>> der() const;
  // fingerprint is SHA-256 over the DER, in hexadecimal, as `openssl x509 -fingerprint -sha256`
  // has it, without colons.
  [[nodiscard]] Result<std::string> fingerprint() const;
  // check_valid is kRefused when `time` is before or behind the certificate's validity.
  [[nodiscard]] Status check_valid(std::int64_t time) const;
  // may_sign and may_receive tell what the key usage says, if the certificate has one.
  [[nodiscard]] bool may_sign() const;
  [[nodiscard]] bool may_receive() const;
  // not_after is in seconds since 1970.
  [[nodiscard]] std::int64_t not_after() const;
  // rsa_key is modulus and exponent; empty of another kind of key.
  [[nodiscard]] Result<hsm::RsaPublicKey> rsa_key() const;

 private:
  std::string name_;
  OwnedX509 x509_;
};

// read_certificates reads every *.pem of a folder, by name; none when there is no such folder.
// kUsage for a file that is no certificate, and for two of the same issuer and serial number.
[[nodiscard]] Result<std::vector<Certificate>> read_certificates(
    const std::filesystem::path& folder);

// check_trusted is kUsage where such a folder or a file of it may be written by group or others, or
// belongs to another account than root and this one: what lies there is trusted for lying there.
[[nodiscard]] Status check_trusted(const std::filesystem::path& folder);

// digest_of_certificates is SHA-256, in hexadecimal, over the lines "<name> <fingerprint>\n" by
// name.
[[nodiscard]] Result<std::string> digest_of_certificates(
    const std::vector<Certificate>& certificates);

}  // namespace fugo::daemon
