// A site whose symbols the test knows, linked in the test's own process.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/link/linking.h"
#include "tests/daemon/service/daemon_fixture.h"

namespace fugo::test {

// kLinkAgencies: two with one-way symbols by CMAC, one by HMAC, one whose symbols can be inverted.
inline const std::vector<std::string> kLinkAgencies = {"131016", "472018", "131130", "141003"};

// Asked is one item of a link call, and what came of it.
struct Asked {
  std::string from, to;  // agency codes
  Block symbol;
  engine::LinkStatus status = engine::LinkStatus::kUnknown;
  Block linked{}, record{};
};

// LinkedSite is a TestSite with what was issued on it, from answer files: a resident is a number,
// as of resident_code. The ledger is written by processes of their own: one for each request, or
// the daemon.
class LinkedSite {
 public:
  using Issuance = std::pair<std::string, std::size_t>;  // agency, resident

  // start_daemon: from then on requests go through the inbox of a real fugod, and what it holds for
  // an approval is approved. Before a Linking is open. stop_daemon gives its exit code.
  void start_daemon();
  int stop_daemon();
  void kill_daemon();  // SIGKILL

  // issue runs a request for these.
  void issue(const std::vector<Issuance>& wanted);
  // drop_issue puts such a request into the daemon's inbox, and gives its id; take_issue waits
  // until it was answered.
  [[nodiscard]] std::string drop_issue(const std::vector<Issuance>& wanted);
  void take_issue(const std::string& id);
  // wait waits until the daemon has answered a request, and gives the folder of its answers.
  [[nodiscard]] std::filesystem::path wait(const std::string& id);
  // issue_pattern issues residents [first, first + count) at kLinkAgencies, except where left_out
  // says that an agency has none of them.
  void issue_pattern(std::size_t first, std::size_t count);
  [[nodiscard]] static bool left_out(std::size_t agency, std::size_t resident) {
    return resident % 7 == agency;
  }
  // change gives a resident the code of another one, who must be nobody yet; remove deletes one.
  void change(std::size_t from, std::size_t to);
  void remove(std::size_t resident);
  // run runs another command, which must succeed.
  void run(const std::vector<std::string>& arguments) const;

  // symbol is a resident's as it was issued, also when it is no longer good; has tells whether
  // there ever was one.
  [[nodiscard]] Block symbol(const std::string& agency, std::size_t resident) const;
  [[nodiscard]] bool has(const std::string& agency, std::size_t resident) const;
  [[nodiscard]] bool changed(std::size_t resident) const { return changed_.count(resident) != 0; }
  [[nodiscard]] bool removed(std::size_t resident) const { return removed_.count(resident) != 0; }

  // open opens a Linking in this process, one at a time; `change` alters how the token is used.
  [[nodiscard]] std::unique_ptr<engine::Linking> open(
      const engine::LinkingSettings& settings = {},
      const std::function<void(hsm::TokenSettings&)>& change = {}) const;

  // open_site opens the site itself in the linking role. Not while a Linking is open.
  [[nodiscard]] std::unique_ptr<engine::Site> open_site(
      const std::function<void(hsm::TokenSettings&)>& change = {}) const;

  [[nodiscard]] const TestSite& site() const { return site_; }

 private:
  // run_request gives the lines of the answer files by agency, without their two head lines.
  [[nodiscard]] std::map<std::string, std::vector<std::vector<std::string>>> run_request(
      const std::string& kind, const std::function<std::string(const std::string& id)>& text,
      const std::vector<std::string>& more = {});

  // carry_out has a request answered, and gives the folder of its answers.
  [[nodiscard]] std::filesystem::path carry_out(const std::string& id, const std::string& kind,
                                                const std::string& text,
                                                const std::vector<std::string>& more);
  [[nodiscard]] static std::map<std::string, std::vector<std::vector<std::string>>> lines_of(
      const std::filesystem::path& answers);
  void take_symbols(const std::map<std::string, std::vector<std::vector<std::string>>>& answers);

  TestSite site_;
  std::unique_ptr<RunningDaemon> daemon_;  // null: each request by a process of its own
  std::map<std::string, std::map<std::size_t, Block>> symbols_;
  std::set<std::size_t> changed_, removed_;
  unsigned jobs_ = 0;
};

// link_all asks for all in one call, with record symbols; link_one for one.
void link_all(engine::Linking& linking, std::vector<Asked>& asked);
[[nodiscard]] Asked link_one(engine::Linking& linking, Asked asked);
// number is the ledger's number of an agency; 0, which fails the test, when there is none.
[[nodiscard]] keystore::AgencyNumber number(engine::Linking& linking, const std::string& code);
// strange_symbol is one that nobody has, different for different seeds.
[[nodiscard]] Block strange_symbol(std::uint64_t seed);

}  // namespace fugo::test
