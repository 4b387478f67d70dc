#include "daemon/backup/backup.h"

#include <unistd.h>

#include <memory>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "daemon/build_directory.h"
#include "daemon/custodian_key.h"
#include "daemon/site_access.h"
#include "daemon/site_verify.h"
#include "daemon/statement.h"
#include "hsm/token.h"

namespace fugo::daemon {
namespace {

namespace fs = std::filesystem;

Status journal(keystore::Ledger& ledger, const keystore::Actor& actor, const char* act,
               const nlohmann::ordered_json& details) {
  FUGO_ASSIGN(const auto update, ledger.begin());
  FUGO_TRY(update->append_journal(actor, act, details.dump()));
  return update->commit();
}

// verify_copy goes through a copy as fugo verify does through a ledger, and leaves nothing there.
Status verify_copy(Settings settings, const fs::path& ledger, const BackupStage& stage) {
  settings.ledger_directory = ledger;
  FUGO_ASSIGN(const auto verified, verify_site(settings, stage));
  for (const char* lock : {"lock.mdb", "writer.lock"}) ::unlink((ledger / lock).c_str());
  if (verified.findings.empty()) return {};
  Error first = verified.findings.front();
  first.what += " (in the copy, and so in the ledger)";
  first.hint = "run fugo verify; keep the backups that you have";
  return tl::unexpected<Error>(std::move(first));
}

// copy_site copies the ledger into the directory that is being built.
Result<Inventory> copy_site(const Settings& settings, const fs::path& to, const fs::path& target,
                            const keystore::Actor& actor, const BackupStage& stage) {
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(auto site, open_ledger(settings, role, keystore::Access::kAppend));
  FUGO_TRY(journal(*site.ledger, actor, "backup.start", {{"directory", target.string()}}));
  FUGO_TRY(make_directory(to / kBackupLedger));
  const auto progress = [&](std::uint64_t done, std::uint64_t total) {
    stage("copy", done, total);
  };
  auto copy = keystore::copy_ledger(*site.ledger, to / kBackupLedger, progress);
  // A regeneration that ends meanwhile gives the ledger new keys.
  for (int again = 1; !copy && copy.error().code == ErrorCode::kStale && again < 3; ++again) {
    site = {};
    FUGO_ASSIGN(site, open_ledger(settings, role, keystore::Access::kAppend));
    copy = keystore::copy_ledger(*site.ledger, to / kBackupLedger, progress);
  }
  FUGO_TRY(copy.map([](auto&&) {}));
  FUGO_ASSIGN(auto inventory, inventory_of(*site.ledger, *copy));
  inventory.taken = copy->time;
  inventory.operator_name = actor.operator_name;
  inventory.order = actor.order;
  return inventory;
}

// sign writes the inventory; the journal tells afterwards of which one.
Status sign(const Settings& settings, const fs::path& to, const keystore::Actor& actor,
            Inventory& inventory) {
  FUGO_ASSIGN(const auto site,
              open_ledger(settings, hsm::TokenRole::kIssuing, keystore::Access::kAppend));
  FUGO_ASSIGN(const auto keys, site.ledger->key_rows());
  FUGO_ASSIGN(const auto key, signing_key(keys));
  inventory.journal_key = key.label;
  const auto document = document_of(inventory);
  FUGO_TRY(write_statement(*site.token, key, document, to / kInventoryFile));
  FUGO_ASSIGN(const auto text, read_small(to / kInventoryFile, kMostInventoryBytes));
  FUGO_ASSIGN(const auto sha256, sha256_hex(text));
  return journal(*site.ledger, actor, "backup",
                 {{"commits", inventory.commits},
                  {"people", inventory.people},
                  {"issuances", inventory.issuances},
                  {"files", inventory.files.size()},
                  {"inventory_sha256", sha256}});
}

}  // namespace

Result<Inventory> make_backup(const Settings& settings, const fs::path& target,
                              const keystore::Actor& actor, bool verify, const BackupStage& stage) {
  FUGO_ASSIGN(auto build, BuildDirectory::create(target));
  FUGO_ASSIGN(auto inventory, copy_site(settings, build.path(), build.target(), actor, stage));
  hsm::finalize_all();  // verifying forks before it opens a token
  if (verify) FUGO_TRY(verify_copy(settings, build.path() / kBackupLedger, stage));
  FUGO_TRY(sign(settings, build.path(), actor, inventory));
  FUGO_TRY(sync_directory(build.path() / kBackupLedger));
  FUGO_TRY(sync_directory(build.path()));
  FUGO_TRY(build.publish());
  return inventory;
}

}  // namespace fugo::daemon
