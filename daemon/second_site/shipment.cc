#include "daemon/second_site/shipment.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "daemon/custodian_key.h"
#include "daemon/journal/signature.h"
#include "daemon/site_access.h"
#include "keystore/json_depth.h"

namespace fugo::daemon {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr std::string_view kPrefix = "shipment-";
constexpr std::size_t kMostSignatureBytes = 256;
constexpr auto kHint = "have it sent again; nothing of it was used";

tl::unexpected<Error> damaged(const char* what, const fs::path& file) {
  return fail(ErrorCode::kDamaged, what, file.string(), kHint);
}

// read_regular reads a small file of a folder that others write; what is none is not waited for.
Result<std::string> read_regular(const fs::path& path, std::size_t most) {
  FUGO_ASSIGN(const UniqueFd file, open_file(path, O_RDONLY | O_NONBLOCK));
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return fail_errno("cannot read", path.string(), errno);
  const auto size = static_cast<std::size_t>(info.st_size);
  if (!S_ISREG(info.st_mode) || size > most) return damaged("is no such file of a shipment", path);
  std::string text(size, '\0');
  for (std::size_t done = 0; done < size;) {
    const auto got = ::read(file.get(), &text[done], size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("cannot read", path.string(), errno);
    if (got == 0) return damaged("became shorter", path);
    done += static_cast<std::size_t>(got);
  }
  return text;
}

// number_of is 0 for what is no shipment's name.
std::uint64_t number_of(const std::string& name) {
  std::uint64_t number = 0;
  if (!name.starts_with(kPrefix)) return 0;
  std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), number);
  return shipment_name(number) == name ? number : 0;
}

Result<Shipment> parse(const std::string& text, const fs::path& file) {
  constexpr std::size_t kDepth = 8;
  const Json document = keystore::nests_at_most(text, kDepth) ? Json::parse(text) : Json();
  if (!document.is_object()) return damaged("is not the inventory of a shipment", file);
  Shipment shipment;
  try {
    if (document.at("fugo_shipment") != kVersion)
      return damaged("is not the inventory of a shipment of this version", file);
    document.at("number").get_to(shipment.number);
    document.at("previous_sha256").get_to(shipment.previous_sha256);
    document.at("final").get_to(shipment.final);
    document.at("kept").get_to(shipment.kept);
  } catch (const Json::exception&) {
    return damaged("lacks what the inventory of a shipment must have", file);
  }
  FUGO_ASSIGN(shipment.inventory, inventory_from(document, file));
  if (!std::all_of(shipment.kept.begin(), shipment.kept.end(), is_ledger_file))
    return damaged("names files that no ledger has", file);
  return shipment;
}

// journal_key reads a label: "fugo-journal-p256-v1".
Result<hsm::KeyName> journal_key(const std::string& label, const fs::path& file) {
  hsm::KeyName name{hsm::KeyPurpose::kJournal, hsm::KeyAlgorithm::kEcP256, 0};
  const auto at = label.rfind('v');
  if (at != std::string::npos)
    std::from_chars(label.data() + at + 1, label.data() + label.size(), name.version);
  if (hsm::key_label(name) != label || !hsm::is_valid(name))
    return damaged("does not name the key that signed it", file);
  return name;
}

}  // namespace

std::string shipment_name(std::uint64_t number) { return fmt::format("{}{:010}", kPrefix, number); }

Result<std::map<std::uint64_t, fs::path>> shipments_in(const fs::path& folder) {
  std::map<std::uint64_t, fs::path> found;
  std::error_code error, ignored;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const auto number = number_of(entry.path().filename().string());
    if (number != 0 && fs::is_regular_file(entry.path() / kShipmentFile, ignored))
      found[number] = entry.path();
  }
  if (error) return fail_errno("cannot read the folder", folder.string(), error.value());
  return found;
}

Json document_of(const Shipment& shipment) {
  Json document = {{"fugo_shipment", kVersion},
                   {"number", shipment.number},
                   {"previous_sha256", shipment.previous_sha256},
                   {"final", shipment.final}};
  const Json inventory = document_of(shipment.inventory);
  for (const auto& [name, value] : inventory.items())
    if (name != "fugo_backup") document[name] = value;
  document["kept"] = shipment.kept;
  return document;
}

Result<Shipment> look_at(const fs::path& directory) {
  const auto file = directory / kShipmentFile;
  FUGO_ASSIGN(const auto text, read_regular(file, kMostInventoryBytes));
  return parse(text, file);
}

Result<std::string> sha256_of(const fs::path& directory) {
  FUGO_ASSIGN(const auto text, read_regular(directory / kShipmentFile, kMostInventoryBytes));
  return sha256_hex(text);
}

Result<ReadShipment> read_shipment(hsm::Token& token, const fs::path& directory) {
  const auto file = directory / kShipmentFile;
  FUGO_ASSIGN(const auto text, read_regular(file, kMostInventoryBytes));
  const auto signature = read_regular(file.string() + ".sig", kMostSignatureBytes);
  if (!signature) return damaged("has no signature", file);
  ReadShipment read{{}, {}, directory};
  FUGO_ASSIGN(read.shipment, parse(text, file));
  FUGO_ASSIGN(const auto name, journal_key(read.shipment.inventory.journal_key, file));
  FUGO_ASSIGN(const auto key, token.find_key(name, std::nullopt));
  keystore::KeyRow row;
  FUGO_ASSIGN(row.public_key, token.public_point(key));
  FUGO_ASSIGN(const bool right, is_signed(row, text, as_bytes(*signature)));
  if (!right) return damaged("is not signed by this ledger's journal key", file);
  FUGO_ASSIGN(read.sha256, sha256_hex(text));
  return read;
}

Result<std::shared_ptr<hsm::Token>> signing_token(const Settings& settings) {
  FUGO_ASSIGN(const auto wanted, settings.token(settings.configured(hsm::TokenRole::kIssuing)
                                                    ? hsm::TokenRole::kIssuing
                                                    : hsm::TokenRole::kStandby));
  FUGO_ASSIGN(auto token, hsm::Token::open(wanted));
  FUGO_TRY(check_token_for(settings, *token));
  return token;
}

}  // namespace fugo::daemon
