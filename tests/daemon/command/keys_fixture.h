// What the tests of fugo keys share: a site's registry and tokens as they are, and openssl.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/daemon/custodians.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::test {

// KeySite is a TestSite with questions about its keys.
class KeySite : public TestSite {
 public:
  using TestSite::TestSite;

  // key is what fugo keys list says of one; null when it knows none of that label.
  [[nodiscard]] nlohmann::json key(const std::string& label) const {
    const auto keys = run({"--json", "keys", "list"}).json()["keys"];
    for (const auto& key : keys)
      if (key["label"] == label) return key;
    return nullptr;
  }
  [[nodiscard]] std::string state(const std::string& label) const {
    const auto found = key(label);
    return found.is_null() ? "unknown" : found["state"].get<std::string>();
  }

  // objects counts what is in a token.
  [[nodiscard]] std::size_t objects(const std::string& role) const {
    std::size_t count = 0;
    const auto directory = this->directory() / "tokens" / role / "objects";
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
      if (entry.path().extension() == ".object" && entry.path().filename() != "token.object")
        ++count;
    return count;
  }

  // journal is every entry of an act.
  [[nodiscard]] std::vector<nlohmann::json> journal(const std::string& act) const {
    std::vector<nlohmann::json> found;
    const auto entries = run({"--json", "journal", "show"}).json()["entries"];
    for (const auto& entry : entries)
      if (entry["act"] == act) found.push_back(entry);
    return found;
  }

  // retired makes the next version of a purpose and retires it all.
  void make_retired(const std::string& purpose) const {
    const auto made = run({"--json", "keys", "create", "--purpose", purpose});
    ASSERT_EQ(made.exit_code, 0) << made.err;
    const auto keys = made.json()["keys"];
    for (const auto& key : keys) {
      const auto retired = run({"keys", "retire", key["label"].get<std::string>()});
      ASSERT_EQ(retired.exit_code, 0) << retired.err;
    }
  }

  // hide takes a token away, or brings it back.
  void hide(const std::string& role, bool away = true) const {
    const auto here = directory() / "tokens" / role, there = directory() / "tokens" / (role + "-");
    std::filesystem::rename(away ? here : there, away ? there : here);
  }
};

// make_token makes a new, empty token in a directory that has its configuration and PIN files, as
// its vendor's tool does; what was in it is lost.
inline void make_token(const std::filesystem::path& token, const std::string& label) {
  std::filesystem::remove_all(token / "objects");
  std::filesystem::create_directory(token / "objects");
  const auto command = "{ SOFTHSM2_CONF='" + (token / "softhsm2.conf").string() +
                       "' softhsm2-util --init-token --free --label " + label + " --pin \"$(cat '" +
                       (token / "pin").string() + "')\" --so-pin \"$(cat '" +
                       (token / "so-pin").string() + "')\"; } > /dev/null 2>&1";
  ASSERT_EQ(std::system(command.c_str()), 0);
}

}  // namespace fugo::test
