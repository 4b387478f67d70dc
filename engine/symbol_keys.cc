#include "engine/symbol_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/secret.h"

namespace fugo::engine {
namespace {

using hsm::KeyPurpose;

struct PurposeName {
  KeyPurpose purpose;
  std::string_view name;
};

// Purposes that make symbols, as error messages call them; all others are not ours.
constexpr std::array<PurposeName, 5> kPurposes{{
    {KeyPurpose::kLinkage, "linkage key"},
    {KeyPurpose::kAgency, "agency key"},
    {KeyPurpose::kAgencyXtsData, "XTS data key"},
    {KeyPurpose::kAgencyXtsTweak, "XTS tweak key"},
    {KeyPurpose::kRecord, "record key"},
}};

const PurposeName* find_purpose(KeyPurpose purpose) {
  const auto* const found =
      std::find_if(kPurposes.begin(), kPurposes.end(),
                   [purpose](const PurposeName& row) { return row.purpose == purpose; });
  return found == kPurposes.end() ? nullptr : found;
}

hsm::KeyName name_of(const keystore::KeyRow& row) {
  return {static_cast<KeyPurpose>(row.purpose), static_cast<hsm::KeyAlgorithm>(row.algorithm),
          row.version};
}

// Nothing is made with a key that is retired, and tokens may have lost it.
bool is_alive(const keystore::KeyRow& row) {
  return row.state != keystore::KeyState::kDestroyed && row.state != keystore::KeyState::kRetired &&
         row.state != keystore::KeyState::kMaking;
}

// An XTS pair of equal keys would be a different, weaker mode; fingerprints tell, since both are
// the encryption of the same block.
Status check_xts_pairs(std::span<const keystore::KeyRow> rows) {
  for (const auto& data : rows) {
    if (name_of(data).purpose != KeyPurpose::kAgencyXtsData || !is_alive(data)) continue;
    for (const auto& tweak : rows) {
      if (name_of(tweak).purpose != KeyPurpose::kAgencyXtsTweak || !is_alive(tweak)) continue;
      if (equal_in_constant_time(data.fingerprint.bytes, tweak.fingerprint.bytes))
        return fail(ErrorCode::kRefused, "the data key and the tweak key of XTS are the same key",
                    data.label, "make new keys for it: K1 and K2 must differ");
    }
  }
  return {};
}

}  // namespace

Result<SymbolKeys> SymbolKeys::open(hsm::Token& token, std::span<const keystore::KeyRow> rows) {
  FUGO_TRY(check_xts_pairs(rows));
  SymbolKeys keys;
  keys.role_ = token.role();
  for (const auto& row : rows) {
    const hsm::KeyName name = name_of(row);
    if (!is_alive(row) || find_purpose(name.purpose) == nullptr) continue;
    if (!hsm::placement_of(name, keys.role_).present) continue;
    FUGO_ASSIGN(const hsm::Key key, token.find_key(name, row.fingerprint));
    keys.keys_.push_back(key);
  }
  return keys;
}

Result<hsm::Key> SymbolKeys::find(const hsm::KeyName& name) const {
  const auto found = std::find_if(keys_.begin(), keys_.end(),
                                  [&name](const hsm::Key& key) { return key.name == name; });
  if (found != keys_.end()) return *found;
  const PurposeName* const purpose = find_purpose(name.purpose);
  const std::string_view what = purpose == nullptr ? "key" : purpose->name;
  if (!hsm::placement_of(name, role_).present)
    return fail(ErrorCode::kRefused, fmt::format("this token's role has no {}", what),
                hsm::key_label(name), "do this where the token has that key");
  return fail(ErrorCode::kRefused, fmt::format("the key registry has no such {}", what),
              hsm::key_label(name));
}

}  // namespace fugo::engine
