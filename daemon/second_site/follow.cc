#include "daemon/second_site/follow.h"

#include <fmt/format.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <sstream>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/text.h"
#include "daemon/backup/backup.h"
#include "daemon/build_directory.h"
#include "daemon/second_site/received.h"
#include "daemon/site_access.h"
#include "hsm/token.h"
#include "keystore/standby.h"
#include "keystore/writer_lock.h"

namespace fugo::daemon {
namespace {

namespace fs = std::filesystem;

Result<ReadShipment> read_signed(const Settings& settings, const fs::path& directory) {
  auto read = [&]() -> Result<ReadShipment> {
    FUGO_ASSIGN(const auto token, signing_token(settings));
    return read_shipment(*token, directory);
  }();
  hsm::finalize_all();
  if (read && directory.filename() != shipment_name(read->shipment.number))
    return fail(ErrorCode::kDamaged, "lies under the name of another shipment", directory.string(),
                "have it sent again; nothing of it was used");
  return read;
}

Status remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return fail_errno("cannot remove", path.string(), error.value());
  return {};
}

// remove_unnamed takes bulk files away that the rows do not name any more.
Status remove_unnamed(const fs::path& ledger, const std::set<std::string>& names) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(ledger / "data", error))
    if (!names.contains("data/" + entry.path().filename().string()))
      FUGO_TRY(remove_tree(entry.path()));
  if (error) return fail_errno("cannot read", (ledger / "data").string(), error.value());
  return sync_directory(ledger / "data");
}

// Follower applies shipments to one ledger.
class Follower {
 public:
  Follower(const Settings& settings, const FollowWishes& wishes, const SiteStage& stage)
      : settings_(settings),
        wishes_(wishes),
        stage_(stage),
        ledger_(settings.ledger_directory),
        incoming_(ledger_ / kIncoming),
        candidate_(settings) {
    candidate_.ledger_directory = incoming_;
  }

  // begin takes the ledger; what a run that died was about to apply was applied, or is from the
  // start.
  Status begin() {
    FUGO_ASSIGN(lock_, keystore::take_writer_lock(ledger_));
    FUGO_TRY(read_own_mark());
    if (mark_.next) FUGO_TRY(check_own());  // the numbers are told by it
    return remove_tree(incoming_);
  }

  // check_numbers: a shipment that is signed, bears the number of one that was applied and is
  // another is from a first site that was put back.
  Status check_numbers(const fs::path& folder) {
    FUGO_ASSIGN(const auto there, shipments_in(folder));
    std::vector<fs::path> strange;
    {
      OpenLedger site;
      for (auto at = there.begin(); at != there.upper_bound(mark_.number); ++at) {
        const auto shipment = look_at(at->second);
        if (!shipment) continue;  // it is not used, and may be on its way out
        const auto known = mark_.known.find(at->first);
        if (known != mark_.known.end()) {
          const auto sha256 = sha256_of(at->second);
          if (sha256 && *sha256 != known->second) strange.push_back(at->second);
          continue;
        }
        // Of what came before this site was made, or long ago, only what was sent later than all
        // that was applied tells of the first site as it is now. The rest may be what an earlier
        // takeover left behind.
        if (shipment->inventory.taken <= mark_.taken) continue;
        if (site.ledger == nullptr) {
          FUGO_ASSIGN(const auto role, any_role(settings_));
          FUGO_ASSIGN(site, open_ledger(settings_, role, keystore::Access::kRead));
        }
        FUGO_ASSIGN(const bool own, is_of(*site.ledger, shipment->inventory));
        if (!own) strange.push_back(at->second);
      }
    }
    hsm::finalize_all();
    for (const auto& directory : strange)
      if (read_signed(settings_, directory))
        return fail(ErrorCode::kDamaged,
                    "is signed, and is another than the shipment of this number that was applied",
                    directory.string(),
                    "the first site was put back to an older state: take over, or make this site "
                    "anew from a whole shipment. Where it was not, and this is left of what an "
                    "earlier takeover left behind, move the shipment to another folder");
    return {};
  }

  Status apply(const fs::path& directory) {
    stage_("look", 0, 0);
    FUGO_ASSIGN(const auto read, read_signed(settings_, directory));
    FUGO_TRY(check_follows(read, mark_));
    FUGO_TRY(check_own());
    FUGO_TRY(gather(read));
    if (wishes_.verify) FUGO_TRY(verify_received(candidate_, stage_));
    auto checked = check_received(candidate_, read, mark_);
    hsm::finalize_all();
    FUGO_TRY(checked);
    const StandbyMark after = mark_of(read, mark_);
    mark_.next = after;
    FUGO_TRY(write_mark(ledger_, mark_));
    FUGO_TRY(commit(read));
    mark_ = after;
    FUGO_TRY(write_mark(ledger_, mark_));
    FUGO_TRY(remove_unnamed(ledger_, file_names(read.shipment)));
    return remove_tree(incoming_);
  }

  [[nodiscard]] const StandbyMark& mark() const { return mark_; }

 private:
  Status read_own_mark() {
    FUGO_ASSIGN(auto mark, read_mark(ledger_));
    if (!mark || !mark->following)
      return fail(ErrorCode::kRefused, "this site does not follow another", settings_.file.string(),
                  "a new one is made with fugo follow DIR --dir SITE");
    mark_ = std::move(*mark);
    return {};
  }

  // is_of tells whether a ledger's journal has the last entry of an inventory in its place.
  static Result<bool> is_of(const keystore::Ledger& ledger, const Inventory& inventory) {
    if (inventory.journal_entries == 0) return false;
    FUGO_ASSIGN(const auto entries, ledger.journal(inventory.journal_entries - 1, 1));
    return !entries.empty() && hex(entries.front().hash) == inventory.journal_head;
  }

  // check_own: this ledger is as the mark says or, where a run died after its commit, as that
  // shipment left it. Anything else was done by somebody else.
  Status check_own() {
    auto own = [&]() -> Status {
      FUGO_ASSIGN(const auto role, any_role(settings_));
      FUGO_ASSIGN(const auto site, open_ledger(settings_, role, keystore::Access::kRead));
      FUGO_ASSIGN(const auto state, site.ledger->state());
      const bool open = mark_.next.has_value();
      settle(mark_, state);
      if (mark_.matches(state)) return open ? write_mark(ledger_, mark_) : Status();
      return fail(ErrorCode::kDamaged, "this ledger is not as the last shipment left it",
                  ledger_.string(),
                  "end a takeover that died with fugo takeover; else make this site anew from a "
                  "whole shipment");
    }();
    hsm::finalize_all();
    return own;
  }

  // gather makes the whole ledger as it is to be, beside the one that is: what comes is copied,
  // what stays is linked.
  Status gather(const ReadShipment& read) {
    FUGO_TRY(make_directory(incoming_));
    FUGO_TRY(receive_files(read, incoming_, stage_));
    for (const auto& name : read.shipment.kept) {
      if (::link((ledger_ / name).c_str(), (incoming_ / name).c_str()) == 0) continue;
      if (errno == ENOENT)
        return fail(ErrorCode::kDamaged, "a file that an earlier shipment brought is missing",
                    (ledger_ / name).string(), "make this site anew from a whole shipment");
      return fail_errno("cannot link", (ledger_ / name).string(), errno);
    }
    return {};
  }

  // commit: new files first, which no row names yet; then all rows at once.
  Status commit(const ReadShipment& read) {
    stage_("apply", 0, 0);
    for (const auto& file : read.shipment.inventory.files) {
      if (file.name == "data.mdb") continue;
      if (::rename((incoming_ / file.name).c_str(), (ledger_ / file.name).c_str()) != 0)
        return fail_errno("cannot rename", (incoming_ / file.name).string(), errno);
    }
    FUGO_TRY(sync_directory(ledger_ / "data"));
    return keystore::adopt_rows(incoming_, ledger_);
  }

  const Settings& settings_;
  const FollowWishes& wishes_;
  const SiteStage& stage_;
  const fs::path ledger_, incoming_;
  Settings candidate_;
  UniqueFd lock_;
  StandbyMark mark_;
};

tl::unexpected<Error> no_whole_one(const fs::path& folder, std::string what) {
  return fail(ErrorCode::kRefused, std::move(what), folder.string(),
              "have it sent again, or a whole one: fugo ship --whole on the first site");
}

// newest_whole looks for the newest shipment that needs none before it.
Result<ReadShipment> newest_whole(const Settings& settings, const fs::path& folder) {
  FUGO_ASSIGN(const auto there, shipments_in(folder));
  for (auto at = there.rbegin(); at != there.rend(); ++at) {
    FUGO_ASSIGN(auto read, read_signed(settings, at->second));
    if (read.shipment.whole()) return read;
  }
  return no_whole_one(folder, "there is no whole shipment to begin with");
}

// next_after is the shipment to be applied after one; nothing when there is none yet. Where one is
// missing, the first later one that is whole bridges the gap: always the same, however often a run
// dies.
Result<std::optional<fs::path>> next_after(const Settings& settings, const fs::path& folder,
                                           std::uint64_t number) {
  FUGO_ASSIGN(const auto there, shipments_in(folder));
  const auto after = there.upper_bound(number);
  if (after == there.end()) return std::optional<fs::path>();
  if (after->first == number + 1) return std::optional(after->second);
  for (auto at = after; at != there.end(); ++at) {
    FUGO_ASSIGN(const auto read, read_signed(settings, at->second));
    if (read.shipment.whole()) return std::optional(at->second);
  }
  return no_whole_one(folder,
                      fmt::format("shipment {} is missing, and later ones are there", number + 1));
}

// second_configuration is the configuration for the new site. A second site works with its standby
// token; the first site's tokens are not its own.
Result<std::string> second_configuration(const Settings& settings, bool all_tokens) {
  FUGO_ASSIGN(const auto text, moved_configuration(settings));
  if (all_tokens || !settings.standby) return text;
  toml::table root = toml::parse(text);
  if (auto* const hsm = root["hsm"].as_table(); hsm != nullptr) {
    hsm->erase("issuing");
    hsm->erase("linking");
  }
  std::ostringstream out;
  out << "# The configuration of a second site; its token is the standby token of\n# "
      << settings.file.string() << "\n"
      << root << "\n";
  return out.str();
}

// found_site builds the site in the directory that will appear.
Status found_site(const Settings& settings, const ReadShipment& read, const StandbyMark& mark,
                  const fs::path& home, bool all_tokens, const SiteStage& stage) {
  const auto ledger = home / kBackupLedger;
  FUGO_TRY(make_directory(ledger));
  FUGO_TRY(receive_files(read, ledger, stage));
  FUGO_ASSIGN(const auto configuration, second_configuration(settings, all_tokens));
  FUGO_TRY(write_durably(home / "fugo.toml", as_bytes(configuration)));
  FUGO_ASSIGN(const auto made, load_settings(home / "fugo.toml"));
  FUGO_TRY(verify_received(made, stage));
  auto checked = check_received(made, read, std::nullopt);
  hsm::finalize_all();
  FUGO_TRY(checked);
  FUGO_TRY(write_mark(ledger, mark));
  FUGO_TRY(sync_directory(ledger / "data"));
  FUGO_TRY(sync_directory(ledger));
  return sync_directory(home);
}

}  // namespace

Result<std::uint64_t> count_unapplied(const StandbyMark& mark) {
  FUGO_ASSIGN(const auto there, shipments_in(mark.folder));
  return static_cast<std::uint64_t>(std::distance(there.upper_bound(mark.number), there.end()));
}

Result<Followed> follow(const Settings& settings, const fs::path& folder,
                        const FollowWishes& wishes, const SiteStage& stage, std::string& applied) {
  Follower follower(settings, wishes, stage);
  FUGO_TRY(follower.begin());
  FUGO_TRY(follower.check_numbers(folder));
  Followed followed;
  for (;;) {
    FUGO_ASSIGN(const auto next, next_after(settings, folder, follower.mark().number));
    if (!next) break;
    FUGO_TRY(follower.apply(*next));
    ++followed.applied;
    applied = fmt::format("shipments up to {} were applied", follower.mark().number);
  }
  followed.mark = follower.mark();
  return followed;
}

Result<Followed> start_following(const Settings& settings, const fs::path& folder,
                                 const fs::path& target, bool all_tokens, const SiteStage& stage) {
  FUGO_ASSIGN(auto build, BuildDirectory::create(target));
  FUGO_ASSIGN(const auto read, newest_whole(settings, folder));
  StandbyMark mark = mark_of(read);
  FUGO_ASSIGN(mark.site, new_site_id());
  FUGO_TRY(found_site(settings, read, mark, build.path(), all_tokens, stage));
  FUGO_TRY(build.publish());
  return Followed{std::move(mark), 1};
}

}  // namespace fugo::daemon
