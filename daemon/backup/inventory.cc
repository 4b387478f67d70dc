#include "daemon/backup/inventory.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/text.h"
#include "keystore/bulk_files.h"
#include "keystore/json_depth.h"

namespace fugo::daemon {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr auto kHint = "this backup cannot be restored: take another one";

Json file_document(const keystore::CopiedFile& file) {
  return {{"name", file.name}, {"bytes", file.bytes}, {"sha256", hex(file.sha256)}};
}

// read_files is false for what is not a list of a ledger's files, each once.
bool read_files(const Json& list, std::vector<keystore::CopiedFile>& files) {
  std::set<std::string> names;
  for (const Json& item : list) {
    keystore::CopiedFile file;
    file.name = item.at("name").get<std::string>();
    file.bytes = item.at("bytes").get<std::uint64_t>();
    const auto hash = unhex(item.at("sha256").get<std::string>());
    if (!is_ledger_file(file.name) || !hash || hash->size() != file.sha256.size() ||
        !names.insert(file.name).second)
      return false;
    std::copy(hash->begin(), hash->end(), file.sha256.begin());
    files.push_back(std::move(file));
  }
  return names.contains("data.mdb");
}

Inventory read(const Json& document) {
  Inventory inventory;
  document.at("ledger").get_to(inventory.ledger_id);
  document.at("environment").get_to(inventory.environment);
  document.at("taken_unix").get_to(inventory.taken);
  document.at("operator").get_to(inventory.operator_name);
  document.at("order").get_to(inventory.order);
  document.at("commits").get_to(inventory.commits);
  document.at("people").get_to(inventory.people);
  document.at("issuances").get_to(inventory.issuances);
  document.at("journal_entries").get_to(inventory.journal_entries);
  document.at("journal_head").get_to(inventory.journal_head);
  document.at("digest").get_to(inventory.digest);
  document.at("digest_without_times").get_to(inventory.digest_without_times);
  document.at("journal_key").get_to(inventory.journal_key);
  return inventory;
}

}  // namespace

bool is_ledger_file(const std::string& name) {
  constexpr std::string_view kFolder = "data/", kEnding = ".fugo";
  if (name == "data.mdb") return true;
  if (!name.starts_with(kFolder) || !name.ends_with(kEnding)) return false;
  const std::string_view digits(name.data() + kFolder.size(),
                                name.size() - kFolder.size() - kEnding.size());
  return !digits.empty() && digits.size() <= 20 &&
         digits.find_first_not_of("0123456789") == std::string_view::npos;
}

Result<Inventory> inventory_of(const keystore::Ledger& ledger, const keystore::LedgerCopy& copy) {
  Inventory inventory;
  inventory.ledger_id = hex(ledger.header().ledger_id.bytes);
  inventory.environment = ledger.header().environment;
  inventory.commits = copy.state.commits;
  inventory.people = copy.state.next_person;
  inventory.issuances = copy.state.issuances;
  inventory.journal_entries = copy.state.journal_entries;
  inventory.journal_head = hex(copy.state.journal_head);
  FUGO_ASSIGN(inventory.digest, ledger.content_digest()->text(copy.state, true));
  FUGO_ASSIGN(inventory.digest_without_times, ledger.content_digest()->text(copy.state, false));
  inventory.files = copy.files;
  return inventory;
}

Status check_same(const keystore::Ledger& ledger, const Inventory& inventory) {
  FUGO_ASSIGN(const auto state, ledger.state());
  FUGO_ASSIGN(const auto now, inventory_of(ledger, {0, state, {}}));
  const auto differs = [](const char* what) {
    return fail(ErrorCode::kDamaged, fmt::format("the ledger has another {}", what), kInventoryFile,
                kHint);
  };
  if (now.ledger_id != inventory.ledger_id) return differs("id");
  if (now.environment != inventory.environment) return differs("environment");
  if (now.commits != inventory.commits) return differs("number of commits");
  if (now.people != inventory.people) return differs("number of people");
  if (now.issuances != inventory.issuances) return differs("number of issuances");
  if (now.journal_entries != inventory.journal_entries ||
      now.journal_head != inventory.journal_head)
    return differs("journal");
  if (now.digest != inventory.digest || now.digest_without_times != inventory.digest_without_times)
    return differs("digest");
  return {};
}

Json document_of(const Inventory& inventory) {
  Json files = Json::array();
  for (const auto& file : inventory.files) files.push_back(file_document(file));
  return {{"fugo_backup", kVersion},
          {"ledger", inventory.ledger_id},
          {"environment", inventory.environment},
          {"taken", format_time(inventory.taken)},
          {"taken_unix", inventory.taken},
          {"operator", inventory.operator_name},
          {"order", inventory.order},
          {"commits", inventory.commits},
          {"people", inventory.people},
          {"issuances", inventory.issuances},
          {"journal_entries", inventory.journal_entries},
          {"journal_head", inventory.journal_head},
          {"digest", inventory.digest},
          {"digest_without_times", inventory.digest_without_times},
          {"journal_key", inventory.journal_key},
          {"files", files}};
}

Result<Inventory> inventory_from(const Json& document, const std::filesystem::path& file) {
  const auto damaged = [&](const char* what) {
    return fail(ErrorCode::kDamaged, what, file.string(), kHint);
  };
  try {
    Inventory inventory = read(document);
    if (!read_files(document.at("files"), inventory.files))
      return damaged("names files that no ledger has");
    return inventory;
  } catch (const Json::exception&) {
    return damaged("lacks what an inventory must have");
  }
}

Result<Inventory> parse_inventory(const std::string& text, const std::filesystem::path& file) {
  constexpr std::size_t kDepth = 8;
  const Json document = keystore::nests_at_most(text, kDepth) ? Json::parse(text) : Json();
  if (!document.is_object())
    return fail(ErrorCode::kDamaged, "is not the inventory of a backup", file.string(), kHint);
  const auto version = document.find("fugo_backup");
  if (version == document.end() || *version != kVersion)
    return fail(ErrorCode::kDamaged, "is not the inventory of a backup of this version",
                file.string(), kHint);
  return inventory_from(document, file);
}

}  // namespace fugo::daemon
