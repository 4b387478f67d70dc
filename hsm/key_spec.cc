#include "hsm/key_spec.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace fugo::hsm {
namespace {

constexpr KeyUses kNone{};
constexpr KeyUses kEncrypt{.encrypt = true};
constexpr KeyUses kBoth{.encrypt = true, .decrypt = true};
constexpr KeyUses kSign{.sign = true};
constexpr KeyUses kUnwrap{.unwrap = true};

constexpr KeyPlacement kAbsent{false, kNone};

// Row is one line of the table in docs/spec/keys.md. The numbers are those of KeyPurpose.
struct Row {
  KeyPurpose purpose;
  std::string_view name;
  KeyPlacement issuing, linking, standby;
};

// Symbol keys are listed as AES keys; with kHmacSha256 they sign instead.
constexpr std::array kRows = {
    Row{KeyPurpose::kLinkage, "linkage", {true, kEncrypt}, kAbsent, {true, kEncrypt}},
    Row{KeyPurpose::kAgency, "agency", {true, kEncrypt}, {true, kEncrypt}, {true, kEncrypt}},
    Row{KeyPurpose::kAgencyXtsData,
        "agency-xts-data",
        {true, kEncrypt},
        {true, kBoth},
        {true, kBoth}},
    Row{KeyPurpose::kAgencyXtsTweak,
        "agency-xts-tweak",
        {true, kEncrypt},
        {true, kEncrypt},
        {true, kEncrypt}},
    Row{KeyPurpose::kRecord, "record", {true, kEncrypt}, {true, kEncrypt}, {true, kEncrypt}},
    Row{KeyPurpose::kDataWrap, "data-wrap", {true, kUnwrap}, {true, kUnwrap}, {true, kUnwrap}},
    Row{KeyPurpose::kJournal, "journal", {true, kSign}, kAbsent, {true, kSign}},
};

const Row* find_row(KeyPurpose purpose) {
  for (const Row& row : kRows)
    if (row.purpose == purpose) return &row;
  return nullptr;
}

std::string_view algorithm_name(KeyAlgorithm algorithm) {
  static constexpr std::array<std::string_view, 4> kNames = {"unknown", "aes256", "hmac", "p256"};
  const auto number = static_cast<std::size_t>(algorithm);
  return kNames[number < kNames.size() ? number : 0];
}

}  // namespace

std::string key_label(const KeyName& name) {
  const Row* row = find_row(name.purpose);
  return fmt::format("fugo-{}-{}-v{}", row ? row->name : "unknown", algorithm_name(name.algorithm),
                     name.version);
}

std::vector<std::uint8_t> key_id(const KeyName& name) {
  return {static_cast<std::uint8_t>(name.purpose), static_cast<std::uint8_t>(name.algorithm),
          static_cast<std::uint8_t>(name.version >> 8U), static_cast<std::uint8_t>(name.version)};
}

KeyPlacement placement_of(const KeyName& name, TokenRole role) {
  const Row* row = find_row(name.purpose);
  if (row == nullptr) return kAbsent;
  KeyPlacement placement = role == TokenRole::kIssuing   ? row->issuing
                           : role == TokenRole::kLinking ? row->linking
                                                         : row->standby;
  if (placement.present && name.algorithm == KeyAlgorithm::kHmacSha256) placement.uses = kSign;
  return placement;
}

KeyUses by_cmac(KeyAlgorithm algorithm, const KeyUses& uses) {
  if (algorithm != KeyAlgorithm::kAes256 || !(uses.encrypt || uses.decrypt)) return uses;
  return {.sign = true};
}

bool is_valid(const KeyName& name) {
  const bool journal = name.purpose == KeyPurpose::kJournal;
  const bool symbol = name.purpose == KeyPurpose::kLinkage || name.purpose == KeyPurpose::kAgency ||
                      name.purpose == KeyPurpose::kRecord;
  if (find_row(name.purpose) == nullptr || name.version == 0) return false;
  switch (name.algorithm) {
    case KeyAlgorithm::kAes256:
      return !journal;
    case KeyAlgorithm::kHmacSha256:
      return symbol;
    case KeyAlgorithm::kEcP256:
      return journal;
  }
  return false;
}

}  // namespace fugo::hsm
