#include "daemon/second_site/ship.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <set>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "daemon/build_directory.h"
#include "daemon/custodian_key.h"
#include "daemon/journal/journal_check.h"
#include "daemon/journal/live_copy.h"
#include "daemon/second_site/follow.h"
#include "daemon/second_site/standby_mark.h"
#include "daemon/site_access.h"
#include "daemon/standby_access.h"
#include "daemon/statement.h"
#include "keystore/json_depth.h"
#include "keystore/standby.h"
#include "keystore/writer_lock.h"

namespace fugo::daemon {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr const char* kMemory = "shipments";  // in the ledger's directory
constexpr const char* kLast = "last.json";
constexpr const char* kNext = "next.json";  // signed for, and perhaps not yet in its folder

Json document_of(const LastShipment& last) {
  return {{"fugo_shipped", kVersion},
          {"number", last.number},
          {"sha256", last.sha256},
          {"directory", last.directory},
          {"taken_unix", last.taken},
          {"journal_entries", last.journal_entries},
          {"journal_head", last.journal_head},
          {"final", last.final},
          {"files", last.files}};
}

LastShipment parse(const Json& document) {
  LastShipment last;
  document.at("number").get_to(last.number);
  document.at("sha256").get_to(last.sha256);
  document.at("directory").get_to(last.directory);
  document.at("taken_unix").get_to(last.taken);
  document.at("journal_entries").get_to(last.journal_entries);
  document.at("journal_head").get_to(last.journal_head);
  document.at("final").get_to(last.final);
  document.at("files").get_to(last.files);
  return last;
}

// recall reads last.json or next.json.
Result<std::optional<LastShipment>> recall(const fs::path& file) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return std::optional<LastShipment>();
  FUGO_ASSIGN(const auto text, read_small(file, kMostInventoryBytes));
  constexpr std::size_t kDepth = 8;
  const Json document = keystore::nests_at_most(text, kDepth) ? Json::parse(text) : Json();
  try {
    if (document.is_object() && document.at("fugo_shipped") == kVersion)
      return std::optional(parse(document));
  } catch (const Json::exception&) {  // told below
  }
  return fail(ErrorCode::kDamaged, "is not what a shipment left", file.string(),
              "remove the file: the next shipment is whole then");
}

// numbered_before is the highest number of any shipment that the journal tells of.
Result<std::uint64_t> numbered_before(const keystore::Ledger& ledger) {
  std::uint64_t number = 0;
  FUGO_TRY(for_each_entry(ledger, 0, [&](const auto& entry) -> Status {
    if (entry.act != "ship") return {};
    const Json details = Json::parse(entry.details, nullptr, false);
    if (details.is_object()) number = std::max(number, details.value("number", std::uint64_t{0}));
    return {};
  }));
  return number;
}

// Shipper makes one shipment.
class Shipper {
 public:
  Shipper(const Settings& settings, const fs::path& folder, const keystore::Actor& actor,
          const ShipWishes& wishes, const SiteStage& stage, std::string& applied)
      : settings_(settings),
        memory_(settings.ledger_directory / kMemory),
        folder_(folder),
        actor_(actor),
        wishes_(wishes),
        stage_(stage),
        applied_(applied) {}

  Result<Shipped> ship() {
    FUGO_ASSIGN(const auto lock, keystore::take_ship_lock(settings_.ledger_directory));
    FUGO_TRY(make_directory(memory_));
    FUGO_TRY(finish_earlier());
    FUGO_ASSIGN(last_, recall(memory_ / kLast));
    if (wishes_.final && last_ && last_->final && keystore::stands_by(settings_.ledger_directory))
      return Shipped{*last_, 0, 0, {}, true};
    FUGO_TRY(open());
    const bool serves = !keystore::stands_by(settings_.ledger_directory);
    if (wishes_.final && serves && wishes_.before_last)
      FUGO_TRY(wishes_.before_last(*site_.ledger));
    FUGO_ASSIGN(const auto state, site_.ledger->state());
    if (!wishes_.always && !wishes_.whole && !wishes_.final && last_ &&
        last_->journal_head == hex(state.journal_head))
      return Shipped{*last_, 0, 0, {}, true};
    FUGO_TRY(number_it());
    return build();
  }

 private:
  // finish_earlier: what was signed for is sent, and no other of its number. Where its hidden
  // directory is gone it had been renamed, even if somebody has carried it away since.
  Status finish_earlier() {
    FUGO_ASSIGN(const auto next, recall(memory_ / kNext));
    if (!next) return {};
    const fs::path target = next->directory;
    const auto hidden = target.parent_path() / fmt::format(".{}.tmp", target.filename().string());
    std::error_code error;
    if (!fs::is_directory(target.parent_path(), error))
      return fail(ErrorCode::kRefused, "the folder of the shipment before is away",
                  target.parent_path().string(), "bring it back: that shipment may lie there");
    if (fs::exists(hidden, error)) FUGO_TRY(rename_durably(hidden, target));
    if (error) return fail_errno("cannot look for", hidden.string(), error.value());
    return rename_durably(memory_ / kNext, memory_ / kLast);
  }

  Status open() {
    const auto& ledger = settings_.ledger_directory;
    if (!wishes_.final) {
      FUGO_ASSIGN(site_,
                  open_ledger(settings_, hsm::TokenRole::kIssuing, keystore::Access::kAppend));
      return {};
    }
    FUGO_ASSIGN(const auto mark, read_mark(ledger));
    if (mark && mark->following) return keystore::check_serves(ledger);
    if (!writer_) {
      FUGO_ASSIGN(writer_, keystore::take_writer_lock(ledger));
    }
    FUGO_ASSIGN(site_, open_standby_ledger(settings_, hsm::TokenRole::kIssuing));
    return {};
  }

  Status number_it() {
    if (last_) {
      shipment_.number = last_->number + 1;
    } else {
      FUGO_ASSIGN(const auto before, numbered_before(*site_.ledger));
      shipment_.number = before + 1;
    }
    if (last_ && !wishes_.whole) shipment_.previous_sha256 = last_->sha256;
    shipment_.final = wishes_.final;
    return {};
  }

  // journal notes the shipment in what is to be sent. With the last one the ledger stands by from
  // this transaction on: the mark is made under LMDB's lock, where every writer looks for it.
  Status journal() {
    const Json details = {{"number", shipment_.number},
                          {"whole", shipment_.whole()},
                          {"final", shipment_.final},
                          {"previous_sha256", shipment_.previous_sha256}};
    if (!wishes_.final) {
      FUGO_ASSIGN(const auto update, site_.ledger->begin());
      FUGO_TRY(update->append_journal(actor_, "ship", details.dump()));
      return update->commit();
    }
    // A copy of the journal that cannot be kept refuses the commit: known before the site is
    // fenced.
    FUGO_TRY(catch_up_all(*site_.ledger, settings_.journal_copies));
    FUGO_ASSIGN(const auto update, keystore::begin_standby(*site_.ledger));
    auto& state = update->state();
    if (state.open_job != 0 || state.open_run != 0)
      return fail(ErrorCode::kRefused, "a job or a regeneration is not finished",
                  settings_.ledger_directory.string(),
                  "finish or abort it first; an ordinary shipment can be sent now");
    if (state.freeze_issue.empty()) state.freeze_issue = kHandedOver;
    if (state.freeze_link.empty()) state.freeze_link = kHandedOver;
    FUGO_TRY(hand_over());
    applied_ = "the ledger stands by; run it again to send the last shipment";
    FUGO_TRY(update->append_journal(actor_, "ship", details.dump()));
    return update->commit();
  }

  // hand_over makes the mark. A run that died leaves its own, with the epoch and the id that
  // custodians may have approved a taking back of.
  Status hand_over() {
    FUGO_ASSIGN(auto mark, read_mark(settings_.ledger_directory));
    if (!mark) {
      mark.emplace();
      FUGO_ASSIGN(mark->site, new_site_id());
      FUGO_ASSIGN(mark->epoch, epoch_of(*site_.ledger));
    }
    mark->following = false;
    mark->number = shipment_.number;
    mark->folder = folder_.string();
    mark->taken = mark->applied = unix_now();
    return write_mark(settings_.ledger_directory, *mark);
  }

  // copy is tried again when a regeneration gives the ledger new keys meanwhile.
  Result<keystore::LedgerCopy> copy(const fs::path& to) {
    std::set<std::string> known;
    if (!shipment_.whole()) known.insert(last_->files.begin(), last_->files.end());
    FUGO_TRY(make_directory(to));
    for (int attempt = 1;; ++attempt) {
      auto copied = keystore::copy_ledger(
          *site_.ledger, to,
          [&](std::uint64_t done, std::uint64_t total) { stage_("copy", done, total); }, known);
      if (copied || copied.error().code != ErrorCode::kStale || attempt == 3) return copied;
      site_ = {};
      FUGO_TRY(open());
    }
  }

  Result<Shipped> build() {
    FUGO_ASSIGN(auto build, BuildDirectory::create(folder_ / shipment_name(shipment_.number)));
    FUGO_TRY(journal());
    FUGO_ASSIGN(auto copied, copy(build.path() / kBackupLedger));
    FUGO_ASSIGN(shipment_.inventory, inventory_of(*site_.ledger, copied));
    shipment_.inventory.taken = copied.time;
    shipment_.inventory.operator_name = actor_.operator_name;
    shipment_.inventory.order = actor_.order;
    shipment_.kept = copied.kept;
    FUGO_TRY(sign(build.path()));
    FUGO_TRY(sync_directory(build.path() / kBackupLedger));
    FUGO_TRY(sync_directory(build.path()));
    return publish(build);
  }

  Status sign(const fs::path& to) {
    FUGO_ASSIGN(const auto keys, site_.ledger->key_rows());
    FUGO_ASSIGN(const auto key, signing_key(keys));
    shipment_.inventory.journal_key = key.label;
    FUGO_TRY(
        write_statement(*site_.token, key, daemon::document_of(shipment_), to / kShipmentFile));
    FUGO_ASSIGN(const auto text, read_small(to / kShipmentFile, kMostInventoryBytes));
    FUGO_ASSIGN(sha256_, sha256_hex(text));
    return {};
  }

  Result<Shipped> publish(BuildDirectory& build) {
    const auto& inventory = shipment_.inventory;
    LastShipment next{shipment_.number,          sha256_,
                      build.target().string(),   inventory.taken,
                      inventory.journal_entries, inventory.journal_head,
                      shipment_.final,           shipment_.kept};
    for (const auto& file : inventory.files)
      if (file.name != "data.mdb") next.files.push_back(file.name);
    build.keep();  // from here on it is sent, now or by the next run
    const auto text = document_of(next).dump() + "\n";
    FUGO_TRY(write_durably(memory_ / kNext, as_bytes(text)));
    FUGO_TRY(finish_earlier());
    applied_ = "the shipment was sent";
    Shipped shipped{std::move(next), 0, inventory.files.size() - 1, inventory.digest, false};
    for (const auto& file : inventory.files) shipped.bytes += file.bytes;
    return shipped;
  }

  const Settings& settings_;
  const fs::path memory_, folder_;
  const keystore::Actor& actor_;
  const ShipWishes& wishes_;
  const SiteStage& stage_;
  std::string& applied_;
  UniqueFd writer_;
  OpenLedger site_;
  std::optional<LastShipment> last_;
  Shipment shipment_;
  std::string sha256_;
};

}  // namespace

Result<std::optional<LastShipment>> last_shipment(const fs::path& ledger) {
  return recall(ledger / kMemory / kLast);
}

Result<Shipped> ship(const Settings& settings, const fs::path& folder, const keystore::Actor& actor,
                     const ShipWishes& wishes, const SiteStage& stage, std::string& applied) {
  return Shipper(settings, folder, actor, wishes, stage, applied).ship();
}

}  // namespace fugo::daemon
