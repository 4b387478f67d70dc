#include "engine/symbol_count.h"

#include <array>
#include <atomic>

namespace fugo::engine {
namespace {

constexpr std::array<std::string_view, 3> kKindNames{"linkage", "agency", "record"};
constexpr std::size_t kMethodNumbers = 256;

using Counters = std::array<std::atomic<std::uint64_t>, kMethodNumbers>;
std::array<Counters, kKindNames.size()> counters;

}  // namespace

void count_symbols(SymbolKind kind, MethodNumber method, std::uint64_t count) {
  counters[static_cast<std::size_t>(kind)][static_cast<std::size_t>(method)].fetch_add(
      count, std::memory_order_relaxed);
}

std::vector<SymbolCount> symbol_counts() {
  std::vector<SymbolCount> counts;
  for (std::size_t kind = 0; kind < kKindNames.size(); ++kind)
    for (const auto& method : methods()) {
      const bool of_agency = kind == static_cast<std::size_t>(SymbolKind::kAgency);
      if (of_agency ? !method.for_agency : !method.for_linkage) continue;
      counts.push_back({kKindNames[kind], method.name,
                        counters[kind][static_cast<std::size_t>(method.number)].load(
                            std::memory_order_relaxed)});
    }
  return counts;
}

}  // namespace fugo::engine
