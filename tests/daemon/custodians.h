// Custodians with keys of openssl's, who sign what is to be approved; and commands of the system.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/daemon/site_fixture.h"

namespace fugo::test {

// shell runs a command of the system, such as openssl; its status, 0 when it went well.
inline int shell(const std::string& command) {
  return std::system(("{ " + command + "; } > /dev/null 2>&1").c_str());
}

// Custodians have their keys in a directory.
class Custodians {
 public:
  explicit Custodians(std::filesystem::path directory) : directory_(std::move(directory)) {}
  Custodians(std::filesystem::path directory, const std::vector<std::string>& names)
      : Custodians(std::move(directory)) {
    for (const auto& name : names) add(name, "EC -pkeyopt ec_paramgen_curve:P-256");
  }

  // add makes a key of a kind that openssl genpkey knows.
  void add(const std::string& name, const std::string& kind) {
    EXPECT_EQ(shell("openssl genpkey -algorithm " + kind + " -out " + key(name) +
                    " && openssl pkey -in " + key(name) + " -pubout -out " + public_key(name)),
              0);
    ed25519_.emplace_back(name, kind == "ED25519");
  }
  [[nodiscard]] std::string public_key(const std::string& name) const {
    return (directory_ / (name + "-public.pem")).string();
  }
  // configure names them to a site, with further lines.
  void configure(const TestSite& site, const std::string& more = {}) const {
    std::string lines = "\n[custodians]\n";
    for (const auto& [name, ignored] : ed25519_)
      lines += name + " = \"" + public_key(name) + "\"\n";
    write_file(site.config(), read_file(site.config()) + lines + more);
  }
  // sign makes a custodian's signature of a file; the value of --approval for it.
  [[nodiscard]] std::string sign(const std::string& name, const std::string& file) const {
    const auto signature = file + "." + name + ".sig";
    bool raw = false;
    for (const auto& [other, is_ed25519] : ed25519_) raw = raw || (other == name && is_ed25519);
    const auto command = raw ? "openssl pkeyutl -sign -rawin -inkey " + key(name) + " -in " + file
                             : "openssl dgst -sha256 -sign " + key(name);
    EXPECT_EQ(shell(command + " -out " + signature + (raw ? "" : " " + file)), 0) << command;
    return name + "=" + signature;
  }
  // approved are the options with which a request is given that these two have signed.
  [[nodiscard]] std::vector<std::string> approved(const std::string& request,
                                                  const std::string& one,
                                                  const std::string& other) const {
    return {"--request",        request,      "--approval",
            sign(one, request), "--approval", sign(other, request)};
  }

 private:
  [[nodiscard]] std::string key(const std::string& name) const {
    return (directory_ / (name + ".pem")).string();
  }
  std::filesystem::path directory_;
  std::vector<std::pair<std::string, bool>> ed25519_;  // name, and whether that is its key's kind
};

}  // namespace fugo::test
