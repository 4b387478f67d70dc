#include "daemon/key_registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "daemon/key_making.h"

namespace fugo::daemon {
namespace {

using hsm::KeyPurpose;
using keystore::GenerationRow;
using keystore::GenerationState;
using keystore::KeyRow;
using keystore::KeyState;

bool is_live(const GenerationRow& row) {
  return row.state == GenerationState::kActive || row.state == GenerationState::kAccepting ||
         row.state == GenerationState::kPending;
}

const char* word(GenerationState state) {
  return state == GenerationState::kActive      ? "active"
         : state == GenerationState::kAccepting ? "accepting"
         : state == GenerationState::kPending   ? "pending"
                                                : "retired";
}

const GenerationRow* find_generation(const KeyRegistry& registry, keystore::Generation number) {
  for (const auto& row : registry.generations)
    if (row.number == number) return &row;
  return nullptr;
}

// chain_of lists the linkage generations that a generation's linkage symbols came through, the
// newest first.
std::vector<const GenerationRow*> chain_of(const KeyRegistry& registry, const GenerationRow& row) {
  std::vector<const GenerationRow*> chain;
  const auto* at = find_generation(registry, row.linkage_generation);
  while (at != nullptr && chain.size() <= registry.generations.size()) {
    chain.push_back(at);
    at = at->chained_from == 0 ? nullptr : find_generation(registry, at->chained_from);
  }
  return chain;
}

// Dependants gathers what depends on one version of a purpose.
class Dependants {
 public:
  Dependants(const KeyRegistry& registry, const KeyRow& key)
      : registry_(registry),
        label_(key.label),
        name_(name_of(key)),
        purpose_(leading_purpose(name_of(key).purpose)) {}

  std::vector<std::string> find() {
    for (const auto& row : registry_.generations)
      if (is_live(row)) look_at(row);
    if (purpose_ == KeyPurpose::kDataWrap && name_.version == registry_.header.wrap_key_version)
      add("the ledger's data key is wrapped by it");
    if (purpose_ == KeyPurpose::kJournal && signs())
      add("the journal and statements are signed with it");
    for (const auto& run : registry_.runs) look_at(run);
    return std::move(found_);
  }

 private:
  void add(std::string text) {
    if (std::find(found_.begin(), found_.end(), text) == found_.end())
      found_.push_back(std::move(text));
  }

  void look_at(const GenerationRow& row) {
    const auto version = name_.version;
    const auto uses = fmt::format("generation {} ({}) uses it", row.number, word(row.state));
    if (purpose_ == KeyPurpose::kLinkage && row.linkage_key == version) add(uses);
    if (purpose_ == KeyPurpose::kAgency && row.agency_key == version) add(uses);
    if (purpose_ == KeyPurpose::kRecord && row.record_key == version) add(uses);
    if (purpose_ == KeyPurpose::kAgency) look_at_agencies(row);
    if (purpose_ == KeyPurpose::kLinkage) look_at_chain(row);
  }

  // An agency's symbols in a generation are made by its newest version up to that one.
  void look_at_agencies(const GenerationRow& row) {
    std::size_t count = 0;
    std::string first;
    for (const auto& agency : registry_.agencies) {
      const keystore::AgencyVersion* used = nullptr;
      for (const auto& version : agency.versions)
        if (version.generation <= row.number) used = &version;
      if (used == nullptr || used->key_version != name_.version) continue;
      if (count++ == 0) first = agency.code;
    }
    if (count != 0)
      add(fmt::format("the symbols of {} agencies in generation {} are made with it, such as {}",
                      count, row.number, first));
  }

  // Whoever starts at a generation, or before it, has a linkage symbol that its key chained: to
  // find them by resident code the chain is walked again.
  void look_at_chain(const GenerationRow& live) {
    const auto chain = chain_of(registry_, live);
    for (std::size_t i = 0; i < chain.size(); ++i) {
      if (chain[i]->linkage_key != name_.version) continue;
      for (std::size_t older = i; older < chain.size(); ++older)
        if (chain[older]->starters != 0)
          add(fmt::format("{} people start from generation {}", chain[older]->starters,
                          chain[older]->number));
    }
  }

  // The newest active journal key signs.
  [[nodiscard]] bool signs() const {
    std::uint16_t newest = 0;
    for (const auto& row : registry_.keys)
      if (name_of(row).purpose == KeyPurpose::kJournal && row.state == KeyState::kActive)
        newest = std::max(newest, row.version);
    return newest == name_.version;
  }

  void look_at(const keystore::RunRow& run) {
    if (run.number != registry_.state.open_run) return;
    const bool named =
        std::any_of(run.new_keys.begin(), run.new_keys.end(), [&](const keystore::RunKey& key) {
          return leading_purpose(static_cast<KeyPurpose>(key.purpose)) == purpose_ &&
                 key.version == name_.version;
        });
    const bool wraps = purpose_ == KeyPurpose::kDataWrap && run.wrap_key_version == name_.version;
    if (named || wraps) add(fmt::format("the regeneration {} is unfinished and uses it", run.id));
  }

  const KeyRegistry& registry_;
  const std::string label_;
  const hsm::KeyName name_;
  const KeyPurpose purpose_;
  std::vector<std::string> found_;
};

}  // namespace

Result<KeyRegistry> read_key_registry(const keystore::Ledger& ledger) {
  KeyRegistry registry;
  registry.header = ledger.header();
  for (int attempt = 0; attempt < 10; ++attempt) {
    FUGO_ASSIGN(registry.state, ledger.state());
    FUGO_ASSIGN(registry.keys, ledger.key_rows());
    FUGO_ASSIGN(registry.generations, ledger.generations());
    FUGO_ASSIGN(registry.agencies, ledger.agencies());
    FUGO_ASSIGN(registry.runs, ledger.runs());
    FUGO_ASSIGN(const auto after, ledger.state());
    if (after.registry_version == registry.state.registry_version &&
        after.open_run == registry.state.open_run)
      return registry;
  }
  return fail(ErrorCode::kRefused, "other processes keep changing the registries", "key registry",
              "run it again when they are done");
}

std::vector<std::string> dependants_of(const KeyRegistry& registry, const KeyRow& key) {
  return Dependants(registry, key).find();
}

Result<std::vector<hsm::KeyName>> next_keys(const KeyRegistry& registry,
                                            const std::vector<KeyPurpose>& purposes) {
  std::vector<hsm::KeyName> names;
  std::set<KeyPurpose> seen;
  for (const KeyPurpose purpose : purposes) {
    unsigned newest = 0;
    for (const auto& row : registry.keys)
      if (leading_purpose(name_of(row).purpose) == purpose)
        newest = std::max(newest, unsigned{row.version});
    for (const auto& run : registry.runs)
      for (const auto& key : run.new_keys)
        if (leading_purpose(static_cast<KeyPurpose>(key.purpose)) == purpose)
          newest = std::max(newest, unsigned{key.version});
    const auto made = keys_of(purpose, static_cast<std::uint16_t>(newest + 1));
    if (made.empty() || newest >= 0xFFFF || !seen.insert(purpose).second)
      return fail(ErrorCode::kUsage, "there is no next version of such a key", "--purpose");
    names.insert(names.end(), made.begin(), made.end());
  }
  return names;
}

KeyRow making_row(const hsm::KeyName& name) {
  KeyRow row;
  row.purpose = static_cast<std::uint8_t>(name.purpose);
  row.algorithm = static_cast<std::uint8_t>(name.algorithm);
  row.version = name.version;
  row.state = KeyState::kMaking;
  row.label = hsm::key_label(name);
  return row;
}

std::vector<KeyRow> pending_keys(const KeyRegistry& registry, KeyPurpose purpose) {
  std::map<std::uint16_t, std::vector<KeyRow>> versions;
  for (const auto& row : registry.keys)
    if (leading_purpose(name_of(row).purpose) == purpose && row.state == KeyState::kPending)
      versions[row.version].push_back(row);
  for (auto at = versions.rbegin(); at != versions.rend(); ++at)
    if (at->second.size() == keys_of(purpose, at->first).size() &&
        dependants_of(registry, at->second.front()).empty())
      return at->second;
  return {};
}

Result<std::vector<KeyRow>> pending_keys(const keystore::Ledger& ledger, KeyPurpose purpose) {
  FUGO_ASSIGN(const auto registry, read_key_registry(ledger));
  return pending_keys(registry, purpose);
}

Result<KeyRow> find_key_row(const KeyRegistry& registry, const std::string& label) {
  for (const auto& row : registry.keys)
    if (row.label == label) return row;
  return fail(ErrorCode::kRefused, "there is no key " + label, "key registry",
              "see fugo keys list");
}

}  // namespace fugo::daemon
