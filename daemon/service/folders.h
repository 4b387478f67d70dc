// The daemon's folders: made, checked, and locked against a second daemon.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/file.h"
#include "base/result.h"
#include "daemon/config.h"

namespace fugo::daemon {

// kWakeFile in work/ is written by the commands: the daemon looks at the ledger then.
inline constexpr const char* kWakeFile = ".wake";

// make_folders makes what is missing, mode 0700, and checks that all six are folders of one file
// system, since files go from one to the other by rename. kUsage when they are not.
[[nodiscard]] Status make_folders(const DaemonSection& daemon);

// lock_folders locks work/ for as long as the descriptor is open; a process that dies lets go of
// it. kRefused, naming the process, when another daemon has it.
[[nodiscard]] Result<UniqueFd> lock_folders(const DaemonSection& daemon);

// wake_daemon tells a running daemon that the ledger has news. Nothing comes of a failure: the
// daemon looks by itself, a little later.
void wake_daemon(const DaemonSection& daemon);

// take_file renames inbox/NAME to work/NAME, both folders synced. False when that is not to be done
// now: it is gone, is no regular file after all, or work/ has a file of this name.
[[nodiscard]] Result<bool> take_file(const DaemonSection& daemon, const std::string& name);

// holds_file tells whether held/<id>/ has anything.
[[nodiscard]] bool holds_file(const DaemonSection& daemon, const std::string& id);
// account_of_held names the owner of the file in held/<id>/, as account_of_file does.
[[nodiscard]] std::optional<std::string> account_of_held(const DaemonSection& daemon,
                                                         const std::string& id);
// hold_file moves a file of work/ to held/<id>/. Where that folder has a file already (the same
// request, dropped again) the newer is destroyed.
[[nodiscard]] Status hold_file(const DaemonSection& daemon, const std::filesystem::path& file,
                               const std::string& id);
// release_file moves a held file back to work/, and removes held/<id>/.
[[nodiscard]] Status release_file(const DaemonSection& daemon, const std::filesystem::path& file);

// has_request tells whether a request of this id waits in inbox/, held/ or work/.
[[nodiscard]] bool has_request(const DaemonSection& daemon, const std::string& id);

// destroy_file unlinks and syncs the folder; a file that is gone is success. A folder of held/
// goes with its last file.
[[nodiscard]] Status destroy_file(const DaemonSection& daemon, const std::filesystem::path& file);

// safe_name is a name for a folder or a message, made of what anybody may have called a file:
// other characters than 0-9A-Za-z._- become '_', a dot in front too, and it is at most 64 long.
[[nodiscard]] std::string safe_name(const std::string& name);

}  // namespace fugo::daemon
