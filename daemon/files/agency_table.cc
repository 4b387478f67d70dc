#include "daemon/files/agency_table.h"

#include <algorithm>
#include <bit>
#include <string>

namespace fugo::daemon {

PackedCode pack_code(std::string_view code) {
  PackedCode packed;
  for (std::size_t i = 0; i < code.size(); ++i)
    packed.append(i, static_cast<std::uint8_t>(code[i]));
  return packed;
}

Result<AgencyTable> AgencyTable::create(std::span<const keystore::Agency> agencies) {
  AgencyTable table;
  const std::size_t size = std::bit_ceil(agencies.size() * 4 + 4);
  table.slots_.resize(size);
  table.mask_ = size - 1;
  for (const auto& agency : agencies) {
    const auto damaged = [&](const char* what) {
      return fail(ErrorCode::kDamaged, what, "agency " + std::to_string(agency.number),
                  "run fugo verify");
    };
    if (agency.number == 0) return damaged("an agency has the number 0");
    if (agency.code.empty() || agency.code.size() > kMaxAgencyCodeLength)
      return damaged("an agency code has a wrong length");
    const PackedCode code = pack_code(agency.code);
    std::size_t at = table.home(code);
    for (; !table.slots_[at].code.empty(); at = (at + 1) & table.mask_)
      if (table.slots_[at].code == code) return damaged("an agency code occurs twice");
    table.slots_[at] = {code, {agency.number, agency.state}};
    table.highest_ = std::max(table.highest_, agency.number);
  }
  return table;
}

const AgencyEntry* AgencyTable::find(std::string_view code) const {
  if (code.empty() || code.size() > kMaxAgencyCodeLength) return nullptr;
  if (code.find('\0') != std::string_view::npos) return nullptr;  // would pack like nothing
  return find(pack_code(code));
}

}  // namespace fugo::daemon
