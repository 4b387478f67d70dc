// What a scrape reads from the token and the ledger.
#include <array>

#include "daemon/jobs/block_meter.h"
#include "daemon/link_day.h"
#include "daemon/seeing/metric_families.h"
#include "engine/symbol_count.h"
#include "hsm/health.h"

namespace fugo::daemon {
namespace {

double number(std::uint64_t value) { return static_cast<double>(value); }

template <typename Duration>
double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// in_seconds turns bounds into those of Prometheus.
template <typename Bounds>
std::vector<double> in_seconds(const Bounds& bounds, double unit) {
  std::vector<double> out;
  for (const auto bound : bounds) out.push_back(static_cast<double>(bound) * unit);
  return out;
}

const char* file_kind_name(keystore::FileKind kind) {
  return kind == keystore::FileKind::kPerson  ? "person"
         : kind == keystore::FileKind::kIndex ? "index"
                                              : "issued";
}

void collect_bulk(const keystore::LedgerUsage& usage, Families& families) {
  for (const auto& bulk : usage.bulk)
    families.gauge("fugo_ledger_files", "Bulk files of the ledger; of index and issued: runs.",
                   number(bulk.files), {{"kind", file_kind_name(bulk.kind)}});
  for (const auto& bulk : usage.bulk)
    families.gauge("fugo_ledger_file_bytes", "Bytes of bulk files.", number(bulk.bytes),
                   {{"kind", file_kind_name(bulk.kind)}});
  for (const auto& bulk : usage.bulk)
    families.gauge("fugo_ledger_file_entries", "Entries of bulk files.", number(bulk.entries),
                   {{"kind", file_kind_name(bulk.kind)}});
}

}  // namespace

void collect_token(const hsm::Health& health, Families& families) {
  for (const auto& calls : health.functions)
    families.counter("fugo_hsm_calls_total", "PKCS#11 calls by function.", number(calls.count),
                     {{"function", calls.function}});
  for (const auto& errors : health.errors)
    families.counter("fugo_hsm_errors_total", "PKCS#11 answers other than CKR_OK.",
                     number(errors.count), {{"function", errors.function}, {"rv", errors.rv}});
  families.histogram("fugo_hsm_call_seconds", "Durations of PKCS#11 calls.",
                     in_seconds(hsm::kLatencyBounds, 1e-6), health.latency,
                     seconds(health.total_time));
  families.gauge("fugo_hsm_oldest_call_age_seconds",
                 "Age of the oldest PKCS#11 call that has not come back; 0: none.",
                 seconds(health.oldest_call));
  families.counter("fugo_hsm_wrong_answers_total", "Calls that answered CKR_OK and a wrong result.",
                   number(health.wrong_answers));
  families.counter("fugo_hsm_sessions_dropped_total", "Sessions that an error had spoiled.",
                   number(health.sessions_dropped));
  families.counter("fugo_hsm_recovery_attempts_total", "Attempts to bring the token back.",
                   number(health.recoveries_tried));
  families.counter("fugo_hsm_recoveries_total", "Attempts that brought the token back.",
                   number(health.recoveries_succeeded));
  families.counter("fugo_hsm_reinitialisations_total", "C_Finalize followed by C_Initialize.",
                   number(health.reinitialisations));
}

void collect_symbols(Families& families) {
  for (const auto& row : engine::symbol_counts())
    families.counter("fugo_symbols_total", "Symbols that were made, by kind and method.",
                     number(row.count),
                     {{"kind", std::string(row.kind)}, {"method", std::string(row.method)}});
}

Status collect_links(const keystore::Ledger& ledger, LinkDay& day, std::uint64_t quota_per_day,
                     Families& families) {
  FUGO_TRY(day.read(ledger));
  const auto uses = day.uses();
  if (quota_per_day != 0)
    families.gauge("fugo_link_quota_per_day", "Symbols of one agency that may be linked in a day.",
                   number(quota_per_day));
  for (const auto& use : uses)
    families.gauge("fugo_link_asked_today", "Symbols that were asked for today, by inquirer.",
                   number(use.asked), {{"agency", use.agency}});
  for (const auto& use : uses)
    families.gauge("fugo_link_used_today", "Of them, those that were answered and take of a quota.",
                   number(use.asked - use.in_vain), {{"agency", use.agency}});
  for (const auto& use : uses)
    families.gauge("fugo_link_ok_today", "Of them, those that were linked or resolved.",
                   number(use.ok), {{"agency", use.agency}});
  return {};
}

Status collect_ledger(const keystore::Ledger& ledger, Families& families) {
  FUGO_ASSIGN(const auto state, ledger.state());
  FUGO_ASSIGN(const auto usage, ledger.usage());
  families.gauge("fugo_ledger_people", "People in the ledger.",
                 number(state.next_person - state.deleted_people));
  families.gauge("fugo_ledger_issuances", "Issuances in the ledger.", number(state.issuances));
  const auto blocks = blocks_document(state.blocks);
  for (const auto& [key, count] : blocks.items())
    families.counter("fugo_key_blocks_total",
                     "Blocks that symbol keys evaluated, ever, as far as the journal tells.",
                     number(count.get<std::uint64_t>()), {{"key", key}});
  families.counter("fugo_unexplained_blocks_total",
                   "Of them, those that no row of a request accounts for.",
                   number(state.unexplained_blocks));
  families.gauge("fugo_quota_rows_today", "Rows that requests of the newest day were let have.",
                 number(state.quota_rows));
  families.gauge("fugo_ledger_merge_failing", "1 while the last merge of bulk files has failed.",
                 ledger.merge_warning() ? 1 : 0);
  families.gauge("fugo_ledger_segments", "Segments that were ever committed.",
                 number(state.next_segment - 1));
  families.gauge("fugo_ledger_journal_entries", "Entries of the journal.",
                 number(state.journal_entries));
  collect_bulk(usage, families);
  families.gauge("fugo_ledger_pages", "Pages of LMDB's file.",
                 number(usage.pages - usage.free_pages), {{"state", "used"}});
  families.gauge("fugo_ledger_pages", "", number(usage.free_pages), {{"state", "free"}});
  families.gauge("fugo_ledger_page_bytes", "Bytes of a page.", number(usage.page_bytes));
  families.gauge("fugo_ledger_map_bytes", "How large LMDB's file can become.",
                 number(usage.map_bytes));
  families.gauge("fugo_ledger_readers", "Slots taken in LMDB's table of readers.",
                 number(usage.readers));
  families.histogram("fugo_ledger_commit_seconds", "Durations of durable commits.",
                     in_seconds(keystore::kCommitBounds, 1e-3), usage.commits.buckets,
                     number(usage.commits.nanoseconds) / 1e9);
  return {};
}

}  // namespace fugo::daemon
