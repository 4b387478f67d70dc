#include "daemon/journal/entry_line.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"
#include "daemon/time_text.h"
#include "keystore/json_depth.h"
#include "keystore/rows.h"

namespace fugo::daemon {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kDepth = 32;  // of an entry's details; what fugo writes has less

Result<std::array<std::uint8_t, 32>> read_hash(const Json& value, const std::string& where) {
  std::array<std::uint8_t, 32> hash{};
  const auto bytes = unhex(value.get<std::string>());
  if (!bytes || bytes->size() != hash.size())
    return fail(ErrorCode::kDamaged, "has a hash that is none", where);
  std::copy(bytes->begin(), bytes->end(), hash.begin());
  return hash;
}

}  // namespace

Json entry_document(const keystore::JournalEntry& entry) {
  // An object where that gives the same bytes back, since the hash is over these.
  Json details = entry.details;
  if (keystore::nests_at_most(entry.details, kDepth, 0)) {
    Json object = Json::parse(entry.details, nullptr, false);
    if (object.is_object() && object.dump() == entry.details) details = std::move(object);
  }
  return {{"sequence", entry.sequence}, {"time", format_time(entry.time)},
          {"unix_time", entry.time},    {"operator", entry.operator_name},
          {"order", entry.order},       {"role", entry.role},
          {"account", entry.account},   {"act", entry.act},
          {"details", details},         {"previous", hex(entry.previous)},
          {"hash", hex(entry.hash)}};
}

std::string entry_line(const keystore::JournalEntry& entry) {
  return entry_document(entry).dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<keystore::JournalEntry> parse_entry_line(const std::string& line, const std::string& where) {
  const auto changed = [&] {
    return fail(ErrorCode::kDamaged, "was changed: its hash is not that of its content", where);
  };
  if (!keystore::nests_at_most(line, kDepth + 1, 1))  // details may have any numbers
    return fail(ErrorCode::kDamaged, "is no entry of a journal", where);
  const Json document = Json::parse(line, nullptr, false);
  keystore::JournalEntry entry;
  std::string time_text;
  try {
    document.at("sequence").get_to(entry.sequence);
    document.at("unix_time").get_to(entry.time);
    document.at("operator").get_to(entry.operator_name);
    document.at("order").get_to(entry.order);
    document.at("role").get_to(entry.role);
    document.at("account").get_to(entry.account);
    document.at("act").get_to(entry.act);
    const Json& details = document.at("details");
    entry.details = details.is_string() ? details.get<std::string>() : details.dump();
    FUGO_ASSIGN(entry.previous, read_hash(document.at("previous"), where));
    FUGO_ASSIGN(entry.hash, read_hash(document.at("hash"), where));
    document.at("time").get_to(time_text);
  } catch (const Json::exception&) {
    return fail(ErrorCode::kDamaged, "is no entry of a journal", where);
  }
  FUGO_ASSIGN(const auto hash, keystore::journal_hash(entry));
  if (hash != entry.hash) return changed();
  // What the hash does not cover is what people and their programs read: the same time in words,
  // and nothing else. Two fields of one name, say, are read by some as the first of them.
  Json again = entry_document(entry);
  const auto time = parse_time(time_text);
  if (time && *time == entry.time) again["time"] = time_text;
  if (again.dump(-1, ' ', false, Json::error_handler_t::replace) != line) return changed();
  return entry;
}

}  // namespace fugo::daemon
