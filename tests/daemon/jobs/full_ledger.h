// A site whose ledger has something of everything in it, and all that a reader is given of it.
#pragma once

#include <map>
#include <string>

#include "base/secret.h"
#include "daemon/config.h"
#include "keystore/ledger.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::test {

// FullLedger has agencies of every method, people who were issued to in several segments, changed
// and deleted, before and after a finished regeneration of everything, a merged agency, a suspended
// one, a held job, and a regeneration under way with its staged files and pending keys.
class FullLedger {
 public:
  FullLedger();

  [[nodiscard]] const TestSite& site() const { return site_; }
  [[nodiscard]] const daemon::Settings& settings() const { return settings_; }
  [[nodiscard]] const SecretBytes<32>& data_key() const { return data_key_; }
  // shown is what commands print of the ledger: its digest, registries, journal, totals and jobs.
  [[nodiscard]] std::string shown() const;
  // links is what linking answers for somebody of each agency. It is journaled.
  [[nodiscard]] std::string links() const;

 private:
  void issue(const std::string& id, std::size_t first, std::size_t count);
  void done(const std::vector<std::string>& words) const;
  void request(const std::string& kind, const std::string& id, const std::string& text) const;
  void make_people();
  void regenerate();
  void leave_things_open() const;
  void take_data_key();

  TestSite site_;
  daemon::Settings settings_;
  SecretBytes<32> data_key_;
  std::map<std::string, std::string> symbols_;  // agency -> somebody's that it was issued last
};

// content_of is everything that a ledger gives its readers, as bytes: every row of every table,
// every record, index entry and issuance.
[[nodiscard]] Result<std::string> content_of(const keystore::Ledger& ledger);

}  // namespace fugo::test
