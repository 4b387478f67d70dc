// Refusing a request file: the reason is kept, journaled once, and the request destroyed.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"
#include "daemon/config.h"
#include "daemon/seeing/service_status.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

// Refusal is why a request is refused. The texts hold no request data.
struct Refusal {
  std::string id;    // of the request; empty when it has none that can be used
  std::string name;  // of the file
  std::string reason;
  std::optional<keystore::JobKind> kind = {};  // nothing: the first line does not tell
};

// refusal_folder is where the reason goes: named by the id, or without one by the file.
[[nodiscard]] std::filesystem::path refusal_folder(const DaemonSection& daemon,
                                                   const Refusal& refusal);

// count_refused counts the folders in refused/ by the kind that their reasons name, 0 for none.
[[nodiscard]] std::array<std::uint64_t, kFileKinds> count_refused(
    const std::filesystem::path& refused);

// Refusals puts reasons into refused/<id>/reason.txt (without an id: the file's name, made safe).
// The steps, each of which can be the last one before a crash, are in docs/exactly-once.md.
class Refusals {
 public:
  Refusals(const DaemonSection& daemon, keystore::Actor actor)
      : daemon_(daemon), actor_(std::move(actor)) {}

  // refuse does all of it for a file in work/ or held/.
  [[nodiscard]] Status refuse(keystore::Ledger& ledger, const std::filesystem::path& file,
                              const Refusal& refusal);

  // finish brings to an end what a crash broke off; for the start.
  [[nodiscard]] Status finish(keystore::Ledger& ledger);

 private:
  [[nodiscard]] Status finish_one(keystore::Ledger& ledger, const std::filesystem::path& folder,
                                  bool maybe_journaled);
  [[nodiscard]] Status journal(keystore::Ledger& ledger, const std::string& text,
                               bool maybe_journaled);

  const DaemonSection& daemon_;
  const keystore::Actor actor_;
};

// safe_error is an error about a request file with the file's name made safe in place of its path:
// the daemon's folder does not matter to the sender, and the name may be anything.
[[nodiscard]] Error safe_error(Error error, const std::filesystem::path& file);

}  // namespace fugo::daemon
