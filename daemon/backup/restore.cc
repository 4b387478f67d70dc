#include <fmt/format.h>
#include <toml++/toml.h>

#include <array>
#include <memory>
#include <sstream>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "daemon/backup/backup.h"
#include "daemon/build_directory.h"
#include "daemon/custodian_key.h"
#include "daemon/site_access.h"
#include "daemon/site_verify.h"
#include "daemon/statement.h"
#include "hsm/token.h"

namespace fugo::daemon {
namespace {

namespace fs = std::filesystem;

constexpr auto kTakeAnother = "take another backup";

// make_absolute turns a path of a section into one that is good from anywhere.
void make_absolute(toml::table& table, std::string_view key, const fs::path& from) {
  const auto value = table[key].value<std::string>();
  constexpr std::string_view kCredential = "credential:";  // of systemd, no path
  if (value && !value->starts_with(kCredential))
    table.insert_or_assign(key, (from / *value).lexically_normal().string());
}

void move_tokens(toml::table& root, const fs::path& from) {
  auto* const hsm = root["hsm"].as_table();
  if (hsm == nullptr) return;
  make_absolute(*hsm, "module", from);
  for (const char* role : {"issuing", "linking", "standby"})
    if (auto* const token = (*hsm)[role].as_table(); token != nullptr)
      for (const char* key : {"pin_file", "softhsm_conf", "so_pin_file"})
        make_absolute(*token, key, from);
}

// Restoration builds a site in the directory that will appear.
class Restoration {
 public:
  Restoration(const Settings& settings, fs::path backup, fs::path home, const BackupStage& stage)
      : settings_(settings), backup_(std::move(backup)), home_(std::move(home)), stage_(stage) {}

  Result<Inventory> restore(const keystore::Actor& actor) {
    const auto inventory_file = backup_ / kInventoryFile;
    FUGO_ASSIGN(text_, read_small(inventory_file, kMostInventoryBytes));
    FUGO_ASSIGN(auto inventory, parse_inventory(text_, inventory_file));
    FUGO_TRY(copy(inventory));
    FUGO_ASSIGN(const auto configuration, moved_configuration(settings_));
    FUGO_TRY(write_durably(home_ / "fugo.toml", as_bytes(configuration), 0600));
    FUGO_ASSIGN(const auto made, load_settings(home_ / "fugo.toml"));
    FUGO_TRY(verify(made));
    FUGO_TRY(check_and_journal(made, inventory, actor));
    FUGO_TRY(sync_directory(home_ / kBackupLedger / "data"));
    FUGO_TRY(sync_directory(home_ / kBackupLedger));
    FUGO_TRY(sync_directory(home_));
    return inventory;
  }

 private:
  // copy takes the files that the inventory names, and nothing else, and compares each with it.
  Status copy(const Inventory& inventory) {
    FUGO_TRY(make_directory(home_ / kBackupLedger));
    FUGO_TRY(make_directory(home_ / kBackupLedger / "data"));
    auto copied = keystore::copy_exactly(
        backup_ / kBackupLedger, home_ / kBackupLedger, inventory.files,
        [this](std::uint64_t done, std::uint64_t total) { stage_("copy", done, total); });
    if (!copied && copied.error().code == ErrorCode::kDamaged) copied.error().hint = kTakeAnother;
    return copied;
  }

  Status verify(const Settings& made) {
    FUGO_ASSIGN(const auto verified, verify_site(made, stage_));
    if (verified.findings.empty()) return {};
    Error first = verified.findings.front();
    first.hint = kTakeAnother;
    return tl::unexpected<Error>(std::move(first));
  }

  Status check_and_journal(const Settings& made, const Inventory& inventory,
                           const keystore::Actor& actor) {
    FUGO_ASSIGN(const auto role, any_role(made));
    FUGO_ASSIGN(const auto site, open_ledger(made, role, keystore::Access::kAppend));
    FUGO_TRY(check_same(*site.ledger, inventory));
    FUGO_ASSIGN(const auto keys, site.ledger->key_rows());
    FUGO_ASSIGN(const auto signed_text,
                read_statement(keys, backup_ / kInventoryFile, kMostInventoryBytes));
    if (signed_text != text_)
      return fail(ErrorCode::kDamaged, "was changed while it was restored",
                  (backup_ / kInventoryFile).string(), "run it again");
    FUGO_ASSIGN(const auto sha256, sha256_hex(text_));
    const nlohmann::ordered_json details = {{"taken", format_time(inventory.taken)},
                                            {"commits", inventory.commits},
                                            {"journal_entries", inventory.journal_entries},
                                            {"inventory_sha256", sha256}};
    FUGO_ASSIGN(const auto update, site.ledger->begin());
    FUGO_TRY(update->append_journal(actor, "restore", details.dump()));
    return update->commit();
  }

  const Settings& settings_;
  const fs::path backup_, home_;
  const BackupStage& stage_;
  std::string text_;
};

}  // namespace

Result<std::string> moved_configuration(const Settings& settings) {
  constexpr std::size_t kMostBytes = 1U << 20U;
  FUGO_ASSIGN(const auto text, read_small(settings.file, kMostBytes));
  const auto from = settings.file.parent_path();
  toml::table root = toml::parse(text, settings.file.string());  // it was read without a mistake
  move_tokens(root, from);
  if (auto* const ledger = root["ledger"].as_table(); ledger != nullptr)
    ledger->insert_or_assign("directory", kBackupLedger);
  // Its copies are of the other site's journal: two sites must not write to the same.
  root.erase("journal");
  root.insert("recovery", toml::table());
  auto& recovery = *root["recovery"].as_table();
  recovery.insert_or_assign("public_key", settings.recovery.public_key.string());
  recovery.insert_or_assign("package_directory", settings.recovery.package_directory.string());
  if (auto* const custodians = root["custodians"].as_table(); custodians != nullptr)
    for (const auto& custodian : settings.custodians)
      custodians->insert_or_assign(custodian.name, custodian.public_key.string());
  std::ostringstream out;
  out << "# The configuration of a site that was restored from a backup; its tokens are those "
         "of\n# "
      << settings.file.string() << "\n"
      << root << "\n";
  return out.str();
}

Result<Restored> restore_backup(const Settings& settings, const fs::path& backup,
                                const fs::path& target, const keystore::Actor& actor,
                                const BackupStage& stage) {
  FUGO_ASSIGN(auto build, BuildDirectory::create(target));
  auto inventory = Restoration(settings, backup, build.path(), stage).restore(actor);
  hsm::finalize_all();
  FUGO_TRY(inventory.map([](auto&&) {}));
  FUGO_TRY(build.publish());
  return Restored{std::move(*inventory), build.target(), build.target() / "fugo.toml"};
}

}  // namespace fugo::daemon
