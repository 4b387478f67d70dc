// Families: metrics of one scrape, gathered. Private to daemon/seeing/.
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "daemon/seeing/metrics.h"

namespace fugo::daemon {

// Families gathers samples; samples of one family are added one after another.
class Families {
 public:
  using Labels = std::vector<prometheus::ClientMetric::Label>;

  void gauge(const char* name, const char* help, double value, Labels labels = {});
  void counter(const char* name, const char* help, double value, Labels labels = {});
  // histogram: `counts` has one bucket more than there are `bounds` (in seconds).
  void histogram(const char* name, const char* help, const std::vector<double>& bounds,
                 std::span<const std::uint64_t> counts, double sum_in_seconds);
  // one_of is a family with a sample for each of `words`, label LABEL: 1 for the one that is so.
  void one_of(const char* name, const char* help, const char* label,
              std::span<const char* const> words, std::string_view now);

  [[nodiscard]] std::vector<prometheus::MetricFamily> take() { return std::move(families_); }

 private:
  prometheus::ClientMetric& sample(const char* name, const char* help, prometheus::MetricType type,
                                   Labels labels);
  std::vector<prometheus::MetricFamily> families_;
};

// What a scrape reads: one function for each place that it is read from.
void collect_board(const StatusBoard& board, Families& families);
void collect_process(const std::string& version, Families& families);
void collect_folders(const std::vector<WatchedFolder>& folders, Families& families);
void collect_token(const hsm::Health& health, Families& families);
void collect_symbols(Families& families);
// collect_ledger: the error of a ledger that cannot be read.
[[nodiscard]] Status collect_ledger(const keystore::Ledger& ledger, Families& families);
// collect_links brings `day` up to date.
[[nodiscard]] Status collect_links(const keystore::Ledger& ledger, LinkDay& day,
                                   std::uint64_t quota_per_day, Families& families);

}  // namespace fugo::daemon
