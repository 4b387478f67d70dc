// Looking up resident codes without doing anything about them: for what is foreseen of a request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/issue/people_finder.h"
#include "engine/site.h"

namespace fugo::engine {

// CodeState is what the ledger knows of a resident code.
enum class CodeState : std::uint8_t {
  kNobody = 0,
  kActive = 1,
  kSuperseded = 2  // it was changed: its person goes by another code
};

// CodeLook derives and looks up. Kept and used again; reads only. Not thread-safe; spreads its work
// over the machine's cores.
class CodeLook {
 public:
  [[nodiscard]] static Result<CodeLook> create(Site& site, std::size_t max_codes);

  // look gives one state a code, by the ledger as it is now; the span lasts until the next call.
  [[nodiscard]] Result<std::span<const CodeState>> look(std::span<const std::uint64_t> codes);

  // people are whom the last look found, one a code: kNoPerson where there is nobody.
  [[nodiscard]] std::span<const keystore::PersonId> people() const {
    return std::span(columns_.ids).first(states_.size());
  }

 private:
  explicit CodeLook(Site& site) : site_(&site) {}

  Site* site_;
  PeopleColumns columns_;
  std::vector<CodeState> states_;
};

}  // namespace fugo::engine
