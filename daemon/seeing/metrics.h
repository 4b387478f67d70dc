// Metrics for Prometheus, served over HTTP on a loopback address.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/config.h"
#include "daemon/jobs/job.h"
#include "daemon/seeing/status_board.h"
#include "engine/site.h"

namespace fugo::daemon {

class LinkDay;

// WatchedFolder is a folder whose file system must have room: {"outbox", "/var/lib/fugo/outbox"}.
struct WatchedFolder {
  std::string name;
  std::filesystem::path path;
  bool journal_copy = false;  // has a copy of the journal: whether it fails is told as well
};

// Metrics counts what it is told, and reads the rest when it is asked: from the board, the token's
// Health, the ledger and the file systems. Between scrapes it does nothing. docs/operation.md
// lists every metric. No name, label or value holds a resident code, a symbol, a request's id or
// anything else of one person or file.
//
// Thread-safe. The board outlives it.
class Metrics {
 public:
  // start serves http://ADDRESS:PORT/metrics; with port 0 nothing is served, and everything else
  // works as well. kIo when the address cannot be had.
  [[nodiscard]] static Result<std::unique_ptr<Metrics>> start(const MetricsSection& section,
                                                              const StatusBoard& board,
                                                              std::vector<WatchedFolder> folders,
                                                              const std::string& version);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // watch names the site that is open, whose ledger and token are read at each scrape; nullptr
  // before it is closed (this waits for a scrape that is under way).
  void watch(engine::Site* site);

  // count_links: each scrape tells what was linked today, by everybody, for each agency that asked,
  // and how much it may (0: no limit). Without it nothing of linking is told.
  void count_links(std::unique_ptr<LinkDay> day, std::uint64_t quota_per_day);

  // segment_committed is for JobOptions::segment_committed.
  void segment_committed(keystore::JobKind kind, double seconds);
  // job_answered counts a job and its rows by result, once: not those of a repeated request.
  void job_answered(const JobReport& report);
  // job_ended counts one that ended in any other way; JobKind{} when the kind is not known.
  void job_ended(keystore::JobKind kind, JobEnd end);
  // failed counts an error; one of code kDamaged sets fugo_ledger_damaged until the restart.
  void failed(const Error& error);

  // text is what a scrape would get.
  [[nodiscard]] std::string text() const;

 private:
  struct Parts;  // what is of prometheus-cpp stays out of this header
  explicit Metrics(std::shared_ptr<Parts> parts);
  const std::shared_ptr<Parts> parts_;
};

}  // namespace fugo::daemon
