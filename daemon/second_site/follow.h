// A second site that follows a first by its shipments. See docs/second-site.md.
#pragma once

#include <filesystem>
#include <optional>

#include "daemon/approvals.h"
#include "daemon/second_site/ship.h"
#include "daemon/second_site/standby_mark.h"

namespace fugo::daemon {

// Followed is how far a site has come.
struct Followed {
  StandbyMark mark;
  std::uint64_t applied = 0;  // shipments, in this run
};

// start_following makes a site at `target` from the newest whole shipment of a folder, with the
// tokens of `settings` (where there is a standby token and `all_tokens` is false, with that alone),
// verified. It appears by rename, or not at all.
[[nodiscard]] Result<Followed> start_following(const Settings& settings,
                                               const std::filesystem::path& folder,
                                               const std::filesystem::path& target, bool all_tokens,
                                               const SiteStage& stage);

// FollowWishes: with `verify` everything that fugo verify does is done before each is applied;
// without, what its rows, lengths and hashes tell.
struct FollowWishes {
  bool verify = false;
};

// follow applies, in order, every shipment of the folder that goes on from where this site is; each
// whole, by one LMDB transaction, or not at all. kDamaged when one is not signed by the ledger's
// journal key, is not as signed, is of another ledger, or goes on from something else: nothing of
// it is used. kDamaged as well when one lies there that bears the number of one that was applied,
// is signed, and is another: the first site was put back, and numbers them anew. kRefused when one
// is missing in between, after what could be applied was.
[[nodiscard]] Result<Followed> follow(const Settings& settings, const std::filesystem::path& folder,
                                      const FollowWishes& wishes, const SiteStage& stage,
                                      std::string& applied);

// count_unapplied counts the shipments of the mark's folder that come after it; the error of a
// folder that cannot be read.
[[nodiscard]] Result<std::uint64_t> count_unapplied(const StandbyMark& mark);

// TakeOverWishes: `unverified` leaves out what fugo verify does, `leave_behind` shipments that lie,
// or may lie, unapplied in the folder.
struct TakeOverWishes {
  bool unverified = false, leave_behind = false;
  std::string reason;
  ApprovalFiles approval;  // of takeover_act(), where custodians are configured
};

// takeover_act is what custodians approve: of this standby site, and no other of the ledger.
[[nodiscard]] KeyAct takeover_act(const StandbyMark& mark);

// TakenOver is what came of it. The first site of a ledger has epoch 1; each takeover begins a new
// one, so that two sites that both went on are told apart by their journals.
struct TakenOver {
  std::uint64_t epoch = 0;
  StandbyMark mark;  // as it was
};

// take_over makes this the site that counts: everything is verified, the journal notes `takeover`,
// what a handing over froze is thawed, and the mark is removed. Run again after it died it goes on,
// without further approvals. kRefused without two custodians' approvals, where any are configured.
// kRefused when the ledger does not stand by, another process follows, or shipments lie unapplied
// or their folder cannot be read; kDamaged when the ledger
// is not as the last shipment left it.
[[nodiscard]] Result<TakenOver> take_over(const Settings& settings, const keystore::Actor& actor,
                                          const TakeOverWishes& wishes, const SiteStage& stage,
                                          std::string& applied);

// epoch_of is one more than the takeovers that a journal tells of.
[[nodiscard]] Result<std::uint64_t> epoch_of(const keystore::Ledger& ledger);

}  // namespace fugo::daemon
