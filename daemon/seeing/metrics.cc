#include "daemon/seeing/metrics.h"

#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <atomic>
#include <exception>
#include <mutex>

#include "daemon/command/names.h"
#include "daemon/link_day.h"
#include "daemon/seeing/metric_families.h"

namespace fugo::daemon {
namespace {

using keystore::JobKind;

const prometheus::Histogram::BucketBoundaries& segment_bounds() {
  static const prometheus::Histogram::BucketBoundaries bounds = {0.01, 0.05, 0.1, 0.25, 0.5, 1,
                                                                 2.5,  5,    10,  30,   60};
  return bounds;
}

// authority is what a URL and civetweb call an address with a port.
std::string authority(const MetricsSection& section) {
  const bool six = section.address.find(':') != std::string::npos;
  return fmt::format(fmt::runtime(six ? "[{}]:{}" : "{}:{}"), section.address, section.port);
}

}  // namespace

struct Metrics::Parts : prometheus::Collectable {
  Parts(const StatusBoard& the_board, std::vector<WatchedFolder> the_folders,
        std::string the_version)
      : board(the_board), folders(std::move(the_folders)), version(std::move(the_version)) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

  const StatusBoard& board;
  const std::vector<WatchedFolder> folders;
  const std::string version;

  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& jobs =
      prometheus::BuildCounter()
          .Name("fugo_jobs_total")
          .Help("Runs of jobs by kind and how they ended.")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& rows = prometheus::BuildCounter()
                                                      .Name("fugo_rows_total")
                                                      .Help("Rows by kind and result.")
                                                      .Register(registry);
  prometheus::Family<prometheus::Counter>& errors = prometheus::BuildCounter()
                                                        .Name("fugo_errors_total")
                                                        .Help("Errors that ended a step, by code.")
                                                        .Register(registry);
  prometheus::Family<prometheus::Histogram>& segments =
      prometheus::BuildHistogram()
          .Name("fugo_segment_seconds")
          .Help("Durations of segments, from rows in memory to the end of the commit.")
          .Register(registry);

  mutable std::atomic<bool> damaged{false};
  mutable std::mutex site_mutex;
  engine::Site* site = nullptr;       // guarded by site_mutex
  std::unique_ptr<LinkDay> link_day;  // guarded by site_mutex
  std::uint64_t link_quota = 0;       // guarded by site_mutex

  std::unique_ptr<prometheus::Exposer> exposer;  // nothing for port 0
};

std::vector<prometheus::MetricFamily> Metrics::Parts::Collect() const {
  Families families;
  collect_process(version, families);
  collect_board(board, families);
  collect_folders(folders, families);
  collect_symbols(families);
  {
    const std::lock_guard lock(site_mutex);
    bool readable = false;
    if (site != nullptr) {
      collect_token(site->token().health(), families);
      auto ledger = collect_ledger(site->ledger(), families);
      if (ledger && link_day != nullptr)
        ledger = collect_links(site->ledger(), *link_day, link_quota, families);
      readable = ledger.has_value();
      if (!readable && ledger.error().code == ErrorCode::kDamaged) damaged = true;
    }
    families.gauge("fugo_ledger_readable", "1 when this scrape could read the ledger.",
                   readable ? 1 : 0);
  }
  families.gauge("fugo_ledger_damaged", "1 after damage was met, until the restart.",
                 damaged ? 1 : 0);
  auto all = families.take();
  for (auto& family : registry.Collect()) all.push_back(std::move(family));
  return all;
}

Metrics::Metrics(std::shared_ptr<Parts> parts) : parts_(std::move(parts)) {}

Metrics::~Metrics() {
  if (parts_->exposer != nullptr) parts_->exposer->RemoveCollectable(parts_);
  parts_->exposer.reset();  // a scrape that is under way is finished
}

Result<std::unique_ptr<Metrics>> Metrics::start(const MetricsSection& section,
                                                const StatusBoard& board,
                                                std::vector<WatchedFolder> folders,
                                                const std::string& version) {
  auto parts = std::make_shared<Parts>(board, std::move(folders), version);
  // Series that are there from the start make the first increase visible.
  for (const auto kind : {JobKind::kIssue, JobKind::kChange, JobKind::kDelete}) {
    for (int end = 0; end <= static_cast<int>(JobEnd::kFailed); ++end)
      parts->jobs.Add({{"kind", kind_name(kind)}, {"end", job_end_name(static_cast<JobEnd>(end))}});
    parts->segments.Add({{"kind", kind_name(kind)}}, segment_bounds());
  }
  parts->jobs.Add({{"kind", kind_name(JobKind{})}, {"end", job_end_name(JobEnd::kRefused)}});
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code)
    parts->errors.Add({{"code", error_code_name(static_cast<ErrorCode>(code))}});
  if (section.port != 0) {
    const auto where = authority(section);
    try {
      parts->exposer = std::make_unique<prometheus::Exposer>(where, 2);
      parts->exposer->RegisterCollectable(parts);
    } catch (const std::exception&) {  // CivetServer's constructor has no other way
      return fail(ErrorCode::kIo, "cannot serve metrics at this address", where,
                  "another process has the port: choose another metrics.port, or 0 for none");
    }
  }
  return std::unique_ptr<Metrics>(new Metrics(std::move(parts)));
}

void Metrics::watch(engine::Site* site) {
  const std::lock_guard lock(parts_->site_mutex);
  parts_->site = site;
}

void Metrics::count_links(std::unique_ptr<LinkDay> day, std::uint64_t quota_per_day) {
  const std::lock_guard lock(parts_->site_mutex);
  parts_->link_day = std::move(day);
  parts_->link_quota = quota_per_day;
}

void Metrics::segment_committed(JobKind kind, double seconds) {
  parts_->segments.Add({{"kind", kind_name(kind)}}, segment_bounds()).Observe(seconds);
}

void Metrics::job_answered(const JobReport& report) {
  job_ended(report.kind, JobEnd::kAnswered);
  if (report.repeated) return;
  const auto add = [&](const std::string& result, std::uint64_t rows) {
    if (rows == 0) return;
    parts_->rows.Add({{"kind", kind_name(report.kind)}, {"result", result}})
        .Increment(static_cast<double>(rows));
  };
  add("new", report.count_new);
  add("existing", report.count_existing);
  add("changed", report.count_changed);
  add("joined", report.count_joined);
  add("deleted", report.count_deleted);
  for (const auto& [reason, rows] : report.rejects) add(reason, rows);
}

void Metrics::job_ended(JobKind kind, JobEnd end) {
  parts_->jobs.Add({{"kind", kind_name(kind)}, {"end", job_end_name(end)}}).Increment();
}

void Metrics::failed(const Error& error) {
  parts_->errors.Add({{"code", error_code_name(error.code)}}).Increment();
  if (error.code == ErrorCode::kDamaged) parts_->damaged = true;
}

std::string Metrics::text() const {
  return prometheus::TextSerializer().Serialize(parts_->Collect());
}

}  // namespace fugo::daemon
