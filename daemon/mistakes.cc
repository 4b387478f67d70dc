#include "daemon/mistakes.h"

#include <fmt/format.h>

#include <algorithm>

namespace fugo::daemon {
namespace {
constexpr std::size_t kMostShown = 100;
}

std::string Mistakes::text(const std::string& subject) const {
  auto sorted = list_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string all = sorted.size() == 1 ? fmt::format("one mistake in {}:", subject)
                                       : fmt::format("{} mistakes in {}:", sorted.size(), subject);
  for (std::size_t i = 0; i < std::min(sorted.size(), kMostShown); ++i) {
    const auto& [line, what] = sorted[i];
    all += line == 0 ? fmt::format("\n  {}", what) : fmt::format("\n  line {}: {}", line, what);
  }
  if (sorted.size() > kMostShown) all += fmt::format("\n  and {} more", sorted.size() - kMostShown);
  return all;
}

}  // namespace fugo::daemon
