// The registry of keys as a whole: what exists, what depends on what, and the acts on it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/approvals.h"
#include "daemon/config.h"
#include "hsm/key_spec.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

// KeyRegistry is everything that tells which key is needed for what, as of one commit.
struct KeyRegistry {
  keystore::LedgerHeader header;
  keystore::LedgerState state;
  std::vector<keystore::KeyRow> keys;
  std::vector<keystore::GenerationRow> generations;
  std::vector<keystore::Agency> agencies;
  std::vector<keystore::RunRow> runs;
};
[[nodiscard]] Result<KeyRegistry> read_key_registry(const keystore::Ledger& ledger);

// dependants_of says in words what needs a key, all algorithms of its version counted together:
// generations that are active, accepting or pending and agencies in them, people whose linkage
// symbols were chained with it, the ledger's data key, the journal's signature, an unfinished
// regeneration. Empty: nothing does.
[[nodiscard]] std::vector<std::string> dependants_of(const KeyRegistry& registry,
                                                     const keystore::KeyRow& key);

// next_keys lists the next version of each purpose: one more than any that the registry or a
// regeneration ever named. kUsage for a purpose that has no version of its own, or twice.
[[nodiscard]] Result<std::vector<hsm::KeyName>> next_keys(
    const KeyRegistry& registry, const std::vector<hsm::KeyPurpose>& purposes);

// pending_keys gives the keys of the newest version of a purpose that is pending as a whole and
// that no unfinished regeneration has taken: the next one may use them. Empty when there is none. A
// kDataWrap key's row has the wrapped data key that was made with it as its public_key.
[[nodiscard]] std::vector<keystore::KeyRow> pending_keys(const KeyRegistry& registry,
                                                         hsm::KeyPurpose purpose);
[[nodiscard]] Result<std::vector<keystore::KeyRow>> pending_keys(const keystore::Ledger& ledger,
                                                                 hsm::KeyPurpose purpose);

// making_row is how a key begins in the registry.
[[nodiscard]] keystore::KeyRow making_row(const hsm::KeyName& name);

// find_key_row finds a key by its label; kRefused when there is none.
[[nodiscard]] Result<keystore::KeyRow> find_key_row(const KeyRegistry& registry,
                                                    const std::string& label);

// KeyCreation is what create_keys is to make.
struct KeyCreation {
  std::vector<hsm::KeyPurpose> purposes;
  std::string package_name;  // recovery-package-NAME.json; empty: made of purposes and versions
  keystore::Actor actor;
  ApprovalFiles approval;
  bool past_unknown = false;  // versions that the ledger does not know are passed over
};

// CreatedKeys is what it made: rows in state pending, as the registry has them.
struct CreatedKeys {
  std::vector<keystore::KeyRow> rows;
  std::vector<std::uint8_t> wrapped_data_key;
  std::filesystem::path recovery_package;
};

// create_keys makes the next version of each purpose in all three tokens and for recovery, with the
// custodians' approval where it is needed, and puts it into the registry as pending. It commits the
// names first, in state making, so that none is ever used twice: what a crash leaves is taken away,
// from the tokens too, by the next call. Journaled as keys.create.start and keys.create. The site
// must be closed. Errors as those of KeyAdministration::make and check_approvals. `applied` is told
// what is so when it fails.
[[nodiscard]] Result<CreatedKeys> create_keys(const Settings& settings, const KeyCreation& wanted,
                                              std::string& applied);

// retire_key takes a key out of use that nothing depends on, and journals it. An active journal key
// is retired by putting the pending one in its place. Gives the labels that changed and their new
// states; kRefused says what depends on it.
struct KeyChange {
  std::string label;
  keystore::KeyState state = keystore::KeyState::kRetired;
};
[[nodiscard]] Result<std::vector<KeyChange>> retire_key(keystore::Ledger& ledger,
                                                        const std::string& label,
                                                        const keystore::Actor& actor);

}  // namespace fugo::daemon
