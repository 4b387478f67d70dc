#include "daemon/second_site/standby_mark.h"

#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "keystore/json_depth.h"
#include "keystore/standby.h"

namespace fugo::daemon {
namespace {

using Json = nlohmann::ordered_json;
constexpr int kVersion = 2;
constexpr std::size_t kMostBytes = 64U << 10U;
constexpr std::size_t kMostKnown = 256;  // some 25 KB

AppliedShipment parse_applied(const Json& document) {
  AppliedShipment applied;
  document.at("final").get_to(applied.final);
  document.at("number").get_to(applied.number);
  document.at("sha256").get_to(applied.sha256);
  document.at("taken_unix").get_to(applied.taken);
  document.at("applied_unix").get_to(applied.applied);
  document.at("commits").get_to(applied.commits);
  document.at("journal_entries").get_to(applied.journal_entries);
  document.at("journal_head").get_to(applied.journal_head);
  document.at("digest").get_to(applied.digest);
  document.at("digest_without_times").get_to(applied.digest_without_times);
  return applied;
}

Json document_of(const AppliedShipment& applied) {
  return {{"final", applied.final},
          {"number", applied.number},
          {"sha256", applied.sha256},
          {"taken_unix", applied.taken},
          {"applied_unix", applied.applied},
          {"commits", applied.commits},
          {"journal_entries", applied.journal_entries},
          {"journal_head", applied.journal_head},
          {"digest", applied.digest},
          {"digest_without_times", applied.digest_without_times}};
}

StandbyMark parse(const Json& document) {
  StandbyMark mark;
  static_cast<AppliedShipment&>(mark) = parse_applied(document);
  mark.following = document.at("state") == "following";
  document.at("folder").get_to(mark.folder);
  document.at("site").get_to(mark.site);
  document.at("epoch").get_to(mark.epoch);
  for (const auto& shipment : document.at("known"))
    mark.known[shipment.at("number").get<std::uint64_t>()] =
        shipment.at("sha256").get<std::string>();
  if (document.contains("next")) mark.next = parse_applied(document.at("next"));
  return mark;
}

}  // namespace

bool AppliedShipment::matches(const keystore::LedgerState& state) const {
  return state.commits == commits && state.journal_entries == journal_entries &&
         hex(state.journal_head) == journal_head;
}

Result<std::string> new_site_id() {
  std::array<std::uint8_t, 16> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
    return fail_errno("cannot get random bytes", "getrandom", errno);
  return hex(random);
}

StandbyMark mark_of(const ReadShipment& read, const StandbyMark& before) {
  const auto& inventory = read.shipment.inventory;
  StandbyMark mark;
  mark.final = read.shipment.final;
  mark.number = read.shipment.number;
  mark.sha256 = read.sha256;
  mark.taken = inventory.taken;
  mark.applied = unix_now();
  mark.commits = inventory.commits;
  mark.journal_entries = inventory.journal_entries;
  mark.journal_head = inventory.journal_head;
  mark.digest = inventory.digest;
  mark.digest_without_times = inventory.digest_without_times;
  mark.folder = read.directory.parent_path().string();
  mark.site = before.site;
  mark.known = before.known;
  mark.known[mark.number] = read.sha256;
  while (mark.known.size() > kMostKnown) mark.known.erase(mark.known.begin());
  return mark;
}

void settle(StandbyMark& mark, const keystore::LedgerState& state) {
  if (mark.next && mark.next->matches(state)) {
    static_cast<AppliedShipment&>(mark) = *mark.next;
    mark.known[mark.number] = mark.sha256;
  }
  mark.next.reset();
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
  Json document = {{"fugo_standby", kVersion},
                   {"state", mark.following ? "following" : "handed over"},
                   {"folder", mark.folder},
                   {"site", mark.site},
                   {"epoch", mark.epoch}};
  document.update(document_of(static_cast<const AppliedShipment&>(mark)));
  document["known"] = known;
  if (mark.next) document["next"] = document_of(*mark.next);
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
