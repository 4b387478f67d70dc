// A site with a few people at three agencies, for tests of the installed interface.
#pragma once

#include <map>
#include <string>

#include "tests/daemon/site_fixture.h"

namespace fugo::test {

// LinkedSite: agency 131016 (one-way) and 141003 (XTS) have symbols of both people, 472018
// (one-way) of the first alone.
class LinkedSite {
 public:
  LinkedSite();
  // symbol gives the text that an agency was answered for person 1 or 2.
  [[nodiscard]] const std::string& symbol(const std::string& agency, int person) const {
    return symbols_.at({agency, person});
  }
  // issue issues a symbol for person 2 at 472018 as well, in a process of its own.
  void issue_second_at_naha();
  [[nodiscard]] const TestSite& site() const { return site_; }
  [[nodiscard]] std::string config() const { return site_.config().string(); }

 private:
  void issue(const std::string& id, const std::string& rows, int count);
  TestSite site_;
  std::map<std::pair<std::string, int>, std::string> symbols_;
};

}  // namespace fugo::test
