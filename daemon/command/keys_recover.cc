// fugo keys recover and fugo keys escrow: keys out of packages, and who can open these.
#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/backup/inventory.h"
#include "daemon/command/commands.h"
#include "daemon/command/names.h"
#include "daemon/key_escrow.h"
#include "daemon/key_recovery.h"
#include "daemon/site_access.h"

namespace fugo::daemon {
namespace {

struct RecoverArguments {
  std::string role, private_key, backup;
  std::vector<std::string> packages, shares;
  ApprovalFiles approval;
};

Result<std::vector<std::filesystem::path>> paths_of(const char* argument,
                                                    const std::vector<std::string>& names) {
  std::vector<std::filesystem::path> paths;
  for (const auto& name : names) {
    FUGO_ASSIGN(auto path, absolute_path(argument, name));
    paths.push_back(std::move(path));
  }
  return paths;
}

Result<hsm::RecoveryKey> recovery_key(const RecoverArguments& given) {
  if (given.private_key.empty() == given.shares.empty())
    return fail(ErrorCode::kUsage, "give the recovery key's file, or custodians' shares of it",
                "--private-key, --share");
  FUGO_ASSIGN(const auto shares, paths_of("--share", given.shares));
  return given.shares.empty() ? hsm::RecoveryKey::read(given.private_key) : join_shares(shares);
}

// LedgerOfBackup is a copy of a backup's rows: the registry is read there when the site is lost
// too. The backup itself must stay as it was signed.
class LedgerOfBackup {
 public:
  static Result<LedgerOfBackup> copy(const std::filesystem::path& backup) {
    std::string name = (std::filesystem::temp_directory_path() / "fugo-recovery-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) return fail_errno("cannot make", name, errno);
    LedgerOfBackup made;
    made.path_ = name;
    FUGO_TRY(
        keystore::copy_files(backup / kBackupLedger, made.path_, {"data.mdb"}, {}).map([](auto&&) {
        }));
    return made;
  }
  ~LedgerOfBackup() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  LedgerOfBackup(LedgerOfBackup&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  LedgerOfBackup& operator=(LedgerOfBackup&&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  LedgerOfBackup() = default;
  std::filesystem::path path_;
};

Result<Outcome> recover(Context& context, const RecoverArguments& given) {
  context.applied = "nothing was applied";
  KeyRecovery wanted;
  FUGO_ASSIGN(wanted.actor, context.actor());
  FUGO_ASSIGN(wanted.role, read_role(given.role));
  FUGO_ASSIGN(wanted.packages, paths_of("--package", given.packages));
  wanted.approval = given.approval;
  wanted.by_shares = !given.shares.empty();  // two of them, at least: see Escrow::needed
  FUGO_ASSIGN(auto settings, context.settings());
  FUGO_ASSIGN(const auto key, recovery_key(given));
  std::optional<LedgerOfBackup> rows;
  if (!given.backup.empty()) {
    FUGO_ASSIGN(const auto backup, absolute_path("--backup", given.backup));
    FUGO_ASSIGN(auto copied, LedgerOfBackup::copy(backup));
    settings.ledger_directory = rows.emplace(std::move(copied)).path();
    wanted.of_backup = true;
  }
  FUGO_ASSIGN(const auto done, recover_token(settings, wanted, key, context.applied));
  Outcome outcome;
  outcome.document = {{"role", given.role},          {"token", done.token},
                      {"recovered", done.labels},    {"present", done.present},
                      {"journaled", done.journaled}, {"unread", done.unread}};
  for (const auto& unread : done.unread)
    outcome.text += fmt::format("left out, unreadable: {}\n", unread);
  for (const auto& label : done.labels) outcome.text += fmt::format("{} is back\n", label);
  outcome.text += fmt::format("{}: {} keys were put there, {} were there; all are as registered\n",
                              done.token, done.labels.size(), done.present.size());
  if (!done.journaled)
    outcome.text += given.backup.empty()
                        ? "NOT journaled: this ledger stands by. Have it noted at the first site.\n"
                        : "NOT journaled: a backup stays as it was signed. Note it with the order "
                          "under which the site is restored.\n";
  return outcome;
}

struct EscrowArguments {
  int needed = 2;
  std::vector<std::string> holders;
  std::string out, private_key;
};

Result<Outcome> escrow(Context& context, const EscrowArguments& given) {
  context.applied = "nothing was made";
  Escrow wanted;
  FUGO_ASSIGN(wanted.directory, absolute_path("--out", given.out));
  if (given.needed < 0 || given.needed > 255)
    return fail(ErrorCode::kUsage, "must be from 2 to 255", "--needed");
  wanted.needed = static_cast<std::uint8_t>(given.needed);
  for (const auto& holder : given.holders) {
    const auto equals = holder.find('=');
    if (equals == std::string::npos)
      return fail(ErrorCode::kUsage, "must be NAME=FILE", "--custodian " + holder);
    wanted.holders.push_back({holder.substr(0, equals), holder.substr(equals + 1)});
  }
  FUGO_TRY(make_escrow(wanted, given.private_key));
  const auto public_key = (wanted.directory / "recovery-public.pem").string();
  Outcome outcome;
  outcome.document = {{"directory", wanted.directory.string()},
                      {"public_key", public_key},
                      {"needed", given.needed},
                      {"custodians", wanted.holders.size()}};
  outcome.text = fmt::format(
      "{} of {} custodians can give the private key back: each gets NAME.share.p7m of {}\n"
      "For fugo init --recovery-public-key, or recovery.public_key: {}\n",
      given.needed, wanted.holders.size(), wanted.directory.string(), public_key);
  if (!given.private_key.empty())
    outcome.text += "The file of the private key is still there: destroy it.\n";
  return outcome;
}

}  // namespace

void add_key_recovery(CLI::App& group, Context& context) {
  auto given = std::make_shared<RecoverArguments>();
  auto* command = group.add_subcommand(
      "recover", "Put the registry's keys into a new token, out of recovery packages");
  command->add_option("--role", given->role, "issuing, linking or standby: the token to be filled")
      ->required();
  command->add_option("--package", given->packages,
                      "Recovery packages (default: all of the recovery folder)");
  command->add_option("--backup", given->backup,
                      "Backup whose ledger tells the keys, where the site is lost too");
  command->add_option("--private-key", given->private_key, "File of the recovery private key");
  command->add_option("--share", given->shares, "Decrypted shares of it, as many as are needed");
  command->add_option("--request", given->approval.request,
                      "What custodians have approved: the file of fugo keys request recover");
  command
      ->add_option("--approval", given->approval.approvals,
                   "CUSTODIAN=FILE with that custodian's signature; two are needed")
      ->allow_extra_args(false);
  command->callback(
      [&context, given] { context.command = [given](Context& c) { return recover(c, *given); }; });

  auto wanted = std::make_shared<EscrowArguments>();
  auto* splitting = group.add_subcommand(
      "escrow", "Make a recovery key that M of N custodians together have, and nobody else");
  splitting->add_option("--needed", wanted->needed, "M (2 unless given)");
  splitting->add_option("--custodian", wanted->holders, "NAME=CERTIFICATE, once for each")
      ->required()
      ->allow_extra_args(false);
  splitting->add_option("--out", wanted->out, "Directory, absent or empty")->required();
  splitting->add_option("--private-key", wanted->private_key,
                        "Split this one, instead of making a new one");
  splitting->callback([&context, wanted] {
    context.command = [wanted](Context& c) { return escrow(c, *wanted); };
  });
}

}  // namespace fugo::daemon
