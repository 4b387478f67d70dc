#include "daemon/command/second_site_text.h"

#include <fmt/format.h>

#include "base/text.h"
#include "daemon/progress.h"

namespace fugo::daemon {

Json shipped_document(const LastShipment& last) {
  return {{"number", last.number},
          {"sha256", last.sha256},
          {"directory", last.directory},
          {"taken", format_time(last.taken)},
          {"journal_entries", last.journal_entries},
          {"journal_head", last.journal_head},
          {"final", last.final}};
}

Json standby_document(const StandbyMark& mark) {
  Json unapplied = 0;
  if (mark.following) {
    const auto left = count_unapplied(mark);
    unapplied = left ? Json(*left) : Json(nullptr);
  }
  return {{"state", mark.following ? "following" : "handed over"},
          {"site", mark.site},
          {"shipment", mark.number},
          {"final", mark.final},
          {"taken", format_time(mark.taken)},
          {"applied", format_time(mark.applied)},
          {"behind_seconds", unix_now() - mark.taken},
          {"unapplied", unapplied},
          {"folder", mark.folder},
          {"journal_entries", mark.journal_entries},
          {"journal_head", mark.journal_head},
          {"digest", mark.digest},
          {"digest_without_times", mark.digest_without_times}};
}

std::string standby_text(const StandbyMark& mark) {
  if (!mark.following)
    return fmt::format("{:<16}handed over by shipment {} to {}\n{:<16}{}\n", "stands by",
                       mark.number, mark.folder, "site", mark.site);
  const auto left = count_unapplied(mark);
  const auto unapplied = !left        ? "unknown: " + left.error().message()
                         : *left == 0 ? std::string("none")
                                      : fmt::format("{} shipments", *left);
  return fmt::format(
      "{:<16}follows {}, as of shipment {} of {} ({} s ago)\n{:<16}{}\n{:<16}{}\n"
      "{:<16}{} entries, head {}\n{:<16}{}\n",
      "stands by", mark.folder, mark.number, format_time(mark.taken), unix_now() - mark.taken,
      "site", mark.site, "unapplied", unapplied, "journal", grouped(mark.journal_entries),
      mark.journal_head, "digest", mark.digest);
}

Json site_document(const std::filesystem::path& ledger) {
  Json document = {{"standby", nullptr}, {"shipped", nullptr}};
  const auto mark = read_mark(ledger);
  if (!mark) document["standby"] = {{"error", mark.error().message()}};
  if (mark && *mark) document["standby"] = standby_document(**mark);
  const auto last = last_shipment(ledger);
  if (last && *last) document["shipped"] = shipped_document(**last);
  return document;
}

std::string site_text(const std::filesystem::path& ledger) {
  std::string text;
  const auto mark = read_mark(ledger);
  if (!mark) text += fmt::format("{:<16}{}\n", "stands by", mark.error().message());
  if (mark && *mark) text += standby_text(**mark);
  const auto last = last_shipment(ledger);
  if (last && *last)
    text += fmt::format("{:<16}shipment {} of {}, journal {} entries\n", "sent", (*last)->number,
                        format_time((*last)->taken), grouped((*last)->journal_entries));
  return text;
}

}  // namespace fugo::daemon
