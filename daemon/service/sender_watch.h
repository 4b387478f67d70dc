// Journaling who may send encrypted requests: see docs/exchange.md.
#pragma once

#include <filesystem>
#include <string>
#include <utility>

#include "base/result.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

// SenderWatch looks at the folder of known senders. Nobody tells the ledger when a certificate is
// put there or taken away, so an entry `exchange.senders` has all of them whenever they are others
// than at the last look of this process. Of one thread.
class SenderWatch {
 public:
  SenderWatch(std::filesystem::path folder, keystore::Actor actor)
      : folder_(std::move(folder)), actor_(std::move(actor)) {}

  // look journals what is there if it is new; a folder that cannot be read is nothing new: the next
  // request says what is wrong with it.
  [[nodiscard]] Status look(keystore::Ledger& ledger);

 private:
  const std::filesystem::path folder_;
  const keystore::Actor actor_;
  std::string seen_;  // their digest
};

}  // namespace fugo::daemon
