// What a shipment brings, copied, compared with what was signed, and looked through.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "base/file.h"
#include "daemon/second_site/ship.h"
#include "daemon/second_site/standby_mark.h"

namespace fugo::daemon {

// kIncoming is where a shipment is put together, in the ledger's directory.
inline constexpr const char* kIncoming = "incoming";

// receive_files copies a shipment's files to `ledger`, an existing directory, and compares each
// with its hash; what others change in the folder afterwards is of no effect. kDamaged for what is
// missing or differs.
[[nodiscard]] Status receive_files(const ReadShipment& read, const std::filesystem::path& ledger,
                                   const SiteStage& stage);

// check_received: kDamaged unless the ledger that the settings name is what was signed for, with
// exactly the files that were named, its tables are sound, and its journal goes on from `before`.
[[nodiscard]] Status check_received(const Settings& settings, const ReadShipment& read,
                                    const std::optional<StandbyMark>& before);

// verify_received does what fugo verify does. No token may be open. Whoever has the writer's lock
// of the ledger passes it.
[[nodiscard]] Status verify_received(const Settings& settings, const SiteStage& stage,
                                     const UniqueFd* lock = nullptr);

// check_follows: kDamaged or kRefused unless a shipment may be applied where the mark is.
[[nodiscard]] Status check_follows(const ReadShipment& read, const StandbyMark& mark);

// file_names are the names of the bulk files that a shipment's rows name.
[[nodiscard]] std::set<std::string> file_names(const Shipment& shipment);

}  // namespace fugo::daemon
