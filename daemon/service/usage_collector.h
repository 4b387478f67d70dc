// Journaling the uses that processes which link left in files: see daemon/link_usage.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/link_usage.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

// UsageCollector takes the files of one folder: counts go into the journal as one entry `link.use`
// for many files, then the files are destroyed. Whoever may write there is not trusted: a file that
// is not as it must be, or names an agency or a key that is not registered, is renamed to
// .refused-NAME and stays for somebody to look at. Each file is journaled once, also when the
// daemon dies at any step (docs/exactly-once.md). Of one thread.
class UsageCollector {
 public:
  UsageCollector(std::filesystem::path folder, keystore::Actor actor)
      : folder_(std::move(folder)), actor_(std::move(actor)) {}

  // reopened: the ledger was opened anew, so an earlier process may have journaled what is here.
  void reopened() { looked_back_ = false; }

  // collect takes all files that are there; an absent folder has none. The files of an error stay,
  // and the next call tries them again.
  [[nodiscard]] Status collect(keystore::Ledger& ledger);

 private:
  struct UseFile {
    std::string name;
    std::int64_t changed = 0;  // seconds since 1970
    std::uint64_t account = 0;
    UsageSummary summary;
  };
  [[nodiscard]] Result<std::vector<std::string>> names() const;
  // Known is what a file may name.
  struct Known {
    std::set<std::string> codes;
    std::set<keystore::KeyNumber> keys;
  };
  [[nodiscard]] static Result<Known> known_to(const keystore::Ledger& ledger);
  [[nodiscard]] Result<UseFile> read(const std::string& name, const Known& known) const;
  [[nodiscard]] Status look_back(keystore::Ledger& ledger, const std::vector<UseFile>& files);
  [[nodiscard]] Status journal(keystore::Ledger& ledger, const std::vector<UseFile>& files);
  [[nodiscard]] Status commit(keystore::Ledger& ledger, const std::string& details,
                              const keystore::KeyBlocks& blocks);
  [[nodiscard]] Status destroy(const std::vector<UseFile>& files);
  void refuse(const std::string& name, const Error& error);

  const std::filesystem::path folder_;
  const keystore::Actor actor_;
  bool looked_back_ = false;
  std::set<std::string> journaled_;  // names that are in the journal and whose files may be here
  std::set<std::string> stuck_;      // names that are wrong and could not be renamed
};

}  // namespace fugo::daemon
