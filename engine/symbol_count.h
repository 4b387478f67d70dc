// How many symbols this process has made, by what they are and by method.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/methods.h"

namespace fugo::engine {

enum class SymbolKind : std::uint8_t { kLinkage, kAgency, kRecord };

// count_symbols adds to the process's counters; thread-safe, meant to be called once a batch.
void count_symbols(SymbolKind kind, MethodNumber method, std::uint64_t count);

struct SymbolCount {
  std::string_view kind;    // "linkage", "agency", "record"
  std::string_view method;  // "cmac-ff-aes256"
  std::uint64_t count = 0;
};
// symbol_counts lists what the table of methods can make, counted or not.
[[nodiscard]] std::vector<SymbolCount> symbol_counts();

}  // namespace fugo::engine
