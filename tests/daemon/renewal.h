// A new symbol version on a real site, made by hand where nobody else has the ledger open.
#pragma once

#include <filesystem>

namespace fugo::test {

// renew_agencies gives every agency a new parameter in a new generation, which becomes active; the
// one before is still accepted. The keys stay.
void renew_agencies(const std::filesystem::path& config);
// retire_old ends that: the generation before is not accepted any more.
void retire_old(const std::filesystem::path& config);

}  // namespace fugo::test
