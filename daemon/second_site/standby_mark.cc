#include "daemon/second_site/standby_mark.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "keystore/json_depth.h"
#include "keystore/standby.h"

namespace fugo::daemon {
namespace {

using Json = nlohmann::ordered_json;
constexpr int kVersion = 1;
constexpr std::size_t kMostBytes = 64U << 10U;
constexpr std::size_t kMostKnown = 256;  // some 25 KB

StandbyMark parse(const Json& document) {
  StandbyMark mark;
  mark.following = document.at("state") == "following";
  document.at("final").get_to(mark.final);
  document.at("number").get_to(mark.number);
  document.at("sha256").get_to(mark.sha256);
  document.at("folder").get_to(mark.folder);
  document.at("taken_unix").get_to(mark.taken);
  document.at("applied_unix").get_to(mark.applied);
  document.at("commits").get_to(mark.commits);
  document.at("journal_entries").get_to(mark.journal_entries);
  document.at("journal_head").get_to(mark.journal_head);
  document.at("digest").get_to(mark.digest);
  document.at("digest_without_times").get_to(mark.digest_without_times);
  if (!document.contains("known")) return mark;
  for (const auto& shipment : document.at("known"))
    mark.known[shipment.at("number").get<std::uint64_t>()] =
        shipment.at("sha256").get<std::string>();
  return mark;
}

}  // namespace

bool StandbyMark::matches(const keystore::LedgerState& state) const {
  return state.commits == commits && state.journal_entries == journal_entries &&
         hex(state.journal_head) == journal_head;
}

StandbyMark mark_of(const ReadShipment& read, std::map<std::uint64_t, std::string> known) {
  const auto& inventory = read.shipment.inventory;
  StandbyMark mark;
  mark.final = read.shipment.final;
  mark.number = read.shipment.number;
  mark.sha256 = read.sha256;
  mark.folder = read.directory.parent_path().string();
  mark.taken = inventory.taken;
  mark.applied = unix_now();
  mark.commits = inventory.commits;
  mark.journal_entries = inventory.journal_entries;
  mark.journal_head = inventory.journal_head;
  mark.digest = inventory.digest;
  mark.digest_without_times = inventory.digest_without_times;
  mark.known = std::move(known);
  mark.known[mark.number] = read.sha256;
  while (mark.known.size() > kMostKnown) mark.known.erase(mark.known.begin());
  return mark;
}

Result<std::optional<StandbyMark>> read_mark(const std::filesystem::path& ledger) {
  if (!keystore::stands_by(ledger)) return std::optional<StandbyMark>();
  const auto file = ledger / keystore::kStandbyMark;
  FUGO_ASSIGN(const auto text, read_small(file, kMostBytes));
  constexpr std::size_t kDepth = 8;
  const Json document = keystore::nests_at_most(text, kDepth) ? Json::parse(text) : Json();
  try {
    if (document.is_object() && document.at("fugo_standby") == kVersion)
      return std::optional(parse(document));
  } catch (const Json::exception&) {  // told below
  }
  return fail(ErrorCode::kDamaged, "is no mark of a ledger that stands by", file.string(),
              "make this site anew from a whole shipment");
}

Status write_mark(const std::filesystem::path& ledger, const StandbyMark& mark) {
  Json known = Json::array();
  for (const auto& [number, sha256] : mark.known)
    known.push_back({{"number", number}, {"sha256", sha256}});
  const Json document = {{"fugo_standby", kVersion},
                         {"state", mark.following ? "following" : "handed over"},
                         {"final", mark.final},
                         {"number", mark.number},
                         {"sha256", mark.sha256},
                         {"folder", mark.folder},
                         {"taken_unix", mark.taken},
                         {"applied_unix", mark.applied},
                         {"commits", mark.commits},
                         {"journal_entries", mark.journal_entries},
                         {"journal_head", mark.journal_head},
                         {"digest", mark.digest},
                         {"digest_without_times", mark.digest_without_times},
                         {"known", known}};
  const auto text = document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  return write_durably(ledger / keystore::kStandbyMark, as_bytes(text));
}

Status remove_mark(const std::filesystem::path& ledger) {
  const auto file = ledger / keystore::kStandbyMark;
  if (::unlink(file.c_str()) != 0 && errno != ENOENT)
    return fail_errno("cannot remove", file.string(), errno);
  return sync_directory(ledger);
}

}  // namespace fugo::daemon
