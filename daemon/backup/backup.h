// Backup of a ledger that is in use, and its restoration. See docs/backup.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "daemon/backup/inventory.h"
#include "daemon/config.h"

namespace fugo::daemon {

// BackupStage is told what is being done ("copy", or a stage of verify_site), bytes done and in
// all.
using BackupStage = std::function<void(const char* stage, std::uint64_t, std::uint64_t)>;

// make_backup copies the ledger as of one commit to `target`, which appears complete, by rename, or
// not at all; other processes go on meanwhile. The copy is sealed as the ledger is, is verified
// whole (unless `verify` is false), and has an inventory signed by the journal key. Journaled
// before (the entry is in the copy) and after. kRefused when the target is in use; kDamaged when
// the copy is not sound, which says that the ledger is not.
[[nodiscard]] Result<Inventory> make_backup(const Settings& settings,
                                            const std::filesystem::path& target,
                                            const keystore::Actor& actor, bool verify,
                                            const BackupStage& stage);

// Restored is what a restoration gave.
struct Restored {
  Inventory inventory;
  std::filesystem::path directory, configuration;
};

// restore_backup makes a site at `target` from a backup: its ledger, and a configuration with the
// tokens of `settings`. Every file is compared with the inventory, its signature with the ledger's
// journal key, and the whole site is verified before it appears, by rename. Journaled in the ledger
// that was restored. kRefused when the target is in use; kDamaged when anything is not as signed.
[[nodiscard]] Result<Restored> restore_backup(const Settings& settings,
                                              const std::filesystem::path& backup,
                                              const std::filesystem::path& target,
                                              const keystore::Actor& actor,
                                              const BackupStage& stage);

// moved_configuration is the text of a site's configuration for a site with the same tokens
// elsewhere: paths of the tokens, of recovery and of custodians' keys become absolute, the ledger
// is in "ledger"; other relative paths stay, and so belong to the new place.
[[nodiscard]] Result<std::string> moved_configuration(const Settings& settings);

}  // namespace fugo::daemon
