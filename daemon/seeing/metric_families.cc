#include "daemon/seeing/metric_families.h"

#include <limits>

namespace fugo::daemon {

prometheus::ClientMetric& Families::sample(const char* name, const char* help,
                                           prometheus::MetricType type, Labels labels) {
  if (families_.empty() || families_.back().name != name)
    families_.push_back({name, help, type, {}});
  auto& metric = families_.back().metric.emplace_back();
  metric.label = std::move(labels);
  return metric;
}

void Families::gauge(const char* name, const char* help, double value, Labels labels) {
  sample(name, help, prometheus::MetricType::Gauge, std::move(labels)).gauge.value = value;
}

void Families::counter(const char* name, const char* help, double value, Labels labels) {
  sample(name, help, prometheus::MetricType::Counter, std::move(labels)).counter.value = value;
}

void Families::histogram(const char* name, const char* help, const std::vector<double>& bounds,
                         std::span<const std::uint64_t> counts, double sum_in_seconds) {
  auto& histogram = sample(name, help, prometheus::MetricType::Histogram, {}).histogram;
  std::uint64_t cumulative = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    cumulative += counts[i];
    const double bound = i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity();
    histogram.bucket.push_back({cumulative, bound});
  }
  histogram.sample_count = cumulative;
  histogram.sample_sum = sum_in_seconds;
}

void Families::one_of(const char* name, const char* help, const char* label,
                      std::span<const char* const> words, std::string_view now) {
  for (const char* word : words) gauge(name, help, now == word ? 1 : 0, {{label, word}});
}

}  // namespace fugo::daemon
