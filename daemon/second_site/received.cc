#include "daemon/second_site/received.h"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "daemon/site_access.h"
#include "daemon/site_verify.h"
#include "keystore/bulk_files.h"
#include "keystore/verify_tables.h"

namespace fugo::daemon {
namespace {

namespace fs = std::filesystem;

constexpr auto kSendAgain = "have it sent again; this site is as it was";

tl::unexpected<Error> wrong(std::string what, const ReadShipment& read) {
  return fail(ErrorCode::kDamaged, std::move(what), (read.directory / kShipmentFile).string(),
              kSendAgain);
}

// check_journal: the last entry that this site has is where it was in what is received.
Status check_journal(const keystore::Ledger& ledger, const ReadShipment& read,
                     const StandbyMark& before) {
  const auto at = before.journal_entries;
  if (at == 0) return {};
  FUGO_ASSIGN(const auto entries, ledger.journal(at - 1, 1));
  if (!entries.empty() && entries.front().sequence == at - 1 &&
      hex(entries.front().hash) == before.journal_head)
    return {};
  return wrong(fmt::format("its journal does not go on from entry {} of this site's: the first "
                           "site was put back to an older state, or two sites went on",
                           at - 1),
               read);
}

}  // namespace

std::set<std::string> file_names(const Shipment& shipment) {
  std::set<std::string> names(shipment.kept.begin(), shipment.kept.end());
  for (const auto& file : shipment.inventory.files)
    if (file.name != "data.mdb") names.insert(file.name);
  return names;
}

Status receive_files(const ReadShipment& read, const fs::path& ledger, const SiteStage& stage) {
  FUGO_TRY(make_directory(ledger / "data"));
  auto copied = keystore::copy_exactly(
      read.directory / kBackupLedger, ledger, read.shipment.inventory.files,
      [&](std::uint64_t done, std::uint64_t total) { stage("copy", done, total); });
  if (!copied && copied.error().code == ErrorCode::kDamaged) copied.error().hint = kSendAgain;
  return copied;
}

Status check_received(const Settings& settings, const ReadShipment& read,
                      const std::optional<StandbyMark>& before) {
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_ledger(settings, role, keystore::Access::kRead));
  FUGO_TRY(check_same(*site.ledger, read.shipment.inventory));
  FUGO_ASSIGN(const auto snapshot, site.ledger->snapshot());
  std::set<std::string> named;
  for (const auto& row : snapshot->files())
    named.insert("data/" + keystore::bulk_file_name(row.number));
  if (named != file_names(read.shipment)) return wrong("does not name the files of its rows", read);
  if (before) FUGO_TRY(check_journal(*site.ledger, read, *before));
  FUGO_ASSIGN(const auto findings, keystore::verify_tables(*site.ledger));
  if (findings.empty()) return {};
  return wrong(findings.front().message(), read);
}

Status verify_received(const Settings& settings, const SiteStage& stage, const UniqueFd* lock) {
  FUGO_ASSIGN(const auto verified, verify_site(settings, stage, lock));
  if (verified.findings.empty()) return {};
  Error first = verified.findings.front();
  first.hint = "run fugo verify on the first site";
  return tl::unexpected<Error>(std::move(first));
}

Status check_follows(const ReadShipment& read, const StandbyMark& mark) {
  const auto& shipment = read.shipment;
  const auto& inventory = shipment.inventory;
  if (shipment.number <= mark.number || inventory.journal_entries < mark.journal_entries ||
      inventory.commits < mark.commits)
    return wrong("is older than what this site has", read);
  if (shipment.whole()) return {};
  if (shipment.number == mark.number + 1 && shipment.previous_sha256 == mark.sha256) return {};
  return wrong(fmt::format("does not follow upon shipment {} as this site applied it", mark.number),
               read);
}

}  // namespace fugo::daemon
