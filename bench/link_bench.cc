// fugo_link_bench: what linking takes on one ledger, printed as a JSON document.
//
//   FUGO_CONFIG=SITE/fugo.toml fugo_link_bench --one-way FROM TO --inverse FROM TO [--symbols N]
//
// The tables of all agencies are built first (from a cold start of the process), then symbols of
// an agency of a one-way method and of one of the method xts-aes256 are linked: in batches, and
// one by one on 1, 8 and 64 threads, beside one PKCS#11 call each on the same threads.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/parallel.h"
#include "bench/bench_site.h"
#include "bench/permutation.h"
#include "daemon/site_access.h"
#include "engine/link/linking.h"

namespace fugo::bench {
namespace {

using Clock = std::chrono::steady_clock;
using engine::Linking;
using engine::LinkingSettings;
using engine::LinkStatus;
using keystore::AgencyNumber;
using Json = nlohmann::ordered_json;

constexpr double kSecondsOfSingles = 2.0;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Question is what is linked: symbols of one agency, to be made another's.
struct Question {
  AgencyNumber from = 0, to = 0;
  std::vector<Block> symbols;
};

std::unique_ptr<engine::Site> open_linking_site() {
  const auto settings = must(daemon::load_settings(daemon::settings_path(std::nullopt)));
  return must(daemon::open_site(settings, hsm::TokenRole::kLinking, keystore::Access::kRead));
}

AgencyNumber number_of(engine::Site& site, const std::string& code) {
  const auto* agency = site.find_agency(code);
  if (agency == nullptr) give_up({ErrorCode::kUsage, "is not registered", code, {}, 0});
  return agency->number;
}

// symbols_of makes the symbols of `count` people whom an agency was issued, in mixed order.
std::vector<Block> symbols_of(engine::Site& site, const std::string& code, std::size_t count) {
  const AgencyNumber number = number_of(site, code);
  const auto snapshot = must(site.ledger().snapshot());
  std::vector<keystore::PersonId> all, ids;
  must(snapshot->scan_issued(number, 0, keystore::kNoPerson, [&](auto entries) -> Status {
    for (const auto& entry : entries) all.push_back(entry.key.id);
    return {};
  }));
  const Permutation order(all.size(), 1);
  for (std::size_t i = 0; i < std::min(count, all.size()); ++i) ids.push_back(all[order.at(i)]);
  std::sort(ids.begin(), ids.end());
  auto records = must(SecretArray<keystore::PersonRecord>::create(ids.size()));
  auto linkage = must(SecretArray<Block>::create(ids.size()));
  const auto generation = site.active_generation().number;
  must(snapshot->read_people(generation, ids, records.span()));
  for (std::size_t i = 0; i < ids.size(); ++i) linkage[i] = records[i].linkage_symbol;
  std::vector<Block> symbols(ids.size()), mixed(ids.size());
  must(site.symbols().agency(generation, std::vector<AgencyNumber>(ids.size(), number),
                             linkage.span(), symbols));
  const Permutation shuffle(ids.size(), 2);
  for (std::size_t i = 0; i < ids.size(); ++i) mixed[i] = symbols[shuffle.at(i)];
  return mixed;
}

// batch links all symbols in one call, three times; the best rate counts. Every answer must be ok
// or not_issued.
Json batch(Linking& linking, const Question& question) {
  const std::size_t count = question.symbols.size();
  const std::vector<AgencyNumber> from(count, question.from), to(count, question.to);
  std::vector<Block> linked(count);
  std::vector<LinkStatus> statuses(count);
  double best = 0;
  for (int round = 0; round < 3; ++round) {
    const auto start = Clock::now();
    linking.link(from, to, question.symbols, linked, {}, statuses);
    best = std::max(best, static_cast<double>(count) / seconds_since(start));
  }
  const auto ok = std::count(statuses.begin(), statuses.end(), LinkStatus::kOk);
  const auto not_issued = std::count(statuses.begin(), statuses.end(), LinkStatus::kNotIssued);
  if (static_cast<std::size_t>(ok + not_issued) != count)
    give_up({ErrorCode::kInternal,
             "some symbols were not resolved",
             linking.health().last_error,
             {},
             0});
  return {{"symbols", count},
          {"ok", ok},
          {"not_issued", not_issued},
          {"per_second", std::llround(best)},
          {"per_second_and_core", std::llround(best / static_cast<double>(hardware_threads()))}};
}

// run_threads lets `act(thread)` run over and over on each thread, and gives rate and percentiles.
Json run_threads(unsigned threads, const std::function<void(unsigned)>& act) {
  std::vector<std::vector<float>> times(threads);
  std::atomic<bool> stop{false};
  std::vector<std::thread> all;
  const auto start = Clock::now();
  for (unsigned t = 0; t < threads; ++t)
    all.emplace_back([&, t] {
      while (!stop.load(std::memory_order_relaxed)) {
        const auto before = Clock::now();
        act(t);
        times[t].push_back(static_cast<float>(seconds_since(before) * 1e6));
      }
    });
  std::this_thread::sleep_for(std::chrono::duration<double>(kSecondsOfSingles));
  stop = true;
  for (auto& thread : all) thread.join();
  const double seconds = seconds_since(start);
  std::vector<float> sorted;
  for (const auto& some : times) sorted.insert(sorted.end(), some.begin(), some.end());
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&](double share) {
    return std::round(static_cast<double>(sorted[static_cast<std::size_t>(
                          share * static_cast<double>(sorted.size() - 1))]) *
                      10) /
           10;
  };
  return {{"threads", threads},
          {"per_second", std::llround(static_cast<double>(sorted.size()) / seconds)},
          {"us_p50", at(0.5)},
          {"us_p99", at(0.99)},
          {"us_p999", at(0.999)}};
}

Json singles(Linking& linking, const Question& question, unsigned threads) {
  std::atomic<std::size_t> next{0};
  const auto before = linking.health();
  Json out = run_threads(threads, [&](unsigned) {
    const Block& symbol =
        question.symbols[next.fetch_add(1, std::memory_order_relaxed) % question.symbols.size()];
    Block linked;
    LinkStatus status = LinkStatus::kUnknown;
    linking.link({&question.from, 1}, {&question.to, 1}, {&symbol, 1}, {&linked, 1}, {},
                 {&status, 1});
    if (status != LinkStatus::kOk && status != LinkStatus::kNotIssued) std::abort();
  });
  const auto after = linking.health();
  const auto runs = after.combined_runs - before.combined_runs;
  if (runs > 0) out["links_a_run"] = (after.combined_calls - before.combined_calls) / runs;
  return out;
}

// One C_EncryptInit and C_Encrypt of two blocks: what one link would take at the least if every
// call went to the token by itself.
Json bare_calls(const hsm::TokenSettings& token, unsigned threads) {
  std::vector<std::unique_ptr<RawSession>> sessions;
  for (unsigned t = 0; t < threads; ++t)
    sessions.push_back(std::make_unique<RawSession>(
        token, hsm::KeyName{hsm::KeyPurpose::kAgency, hsm::KeyAlgorithm::kAes256, 1}));
  return run_threads(threads, [&](unsigned t) {
    Block blocks[2];
    sessions[t]->encrypt(blocks);
  });
}

Json measure(const Question& question, const std::vector<unsigned>& threads, bool build_tables) {
  LinkingSettings settings;
  settings.index_bytes = std::size_t{16} << 30U;
  Json out;
  const auto start = Clock::now();
  const auto linking = must(Linking::open(open_linking_site(), settings));
  if (build_tables) {
    must(linking->prepare({}));
    const double seconds = seconds_since(start);
    const auto health = linking->health();
    out["index"] = {
        {"seconds", std::round(seconds * 100) / 100},
        {"issuances", health.index_entries},
        {"agencies", health.index_agencies},
        {"bytes", health.index_bytes},
        {"bytes_an_issuance", std::round(static_cast<double>(health.index_bytes) /
                                         static_cast<double>(health.index_entries) * 100) /
                                  100}};
  }
  out["batch"] = batch(*linking, question);
  for (const unsigned count : threads) out["singles"].push_back(singles(*linking, question, count));
  settings.combine = false;
  const auto apart = must(Linking::open(open_linking_site(), settings));
  out["singles_not_combined"].push_back(singles(*apart, question, threads.back()));
  return out;
}

int run(int argc, char** argv) {
  CLI::App app("measures linking");
  std::vector<std::string> one_way, inverse;
  std::size_t count = 1'000'000;
  app.add_option("--one-way", one_way, "codes of two agencies of a one-way method")
      ->required()
      ->expected(2);
  app.add_option("--inverse", inverse, "codes of two agencies of the method xts-aes256")
      ->required()
      ->expected(2);
  std::vector<unsigned> threads{1, 8, 64};
  app.add_option("--symbols", count, "symbols of a batch");
  app.add_option("--threads", threads, "threads of single calls");
  CLI11_PARSE(app, argc, argv);
  Question by_table, by_inverse;
  hsm::TokenSettings token;
  {
    const auto settings = must(daemon::load_settings(daemon::settings_path(std::nullopt)));
    token = must(settings.token(hsm::TokenRole::kLinking));
    const auto site = open_linking_site();
    for (const auto& [codes, question] :
         {std::pair(&one_way, &by_table), std::pair(&inverse, &by_inverse)}) {
      question->symbols = symbols_of(*site, codes->at(0), count);
      question->from = number_of(*site, codes->at(0));
      question->to = number_of(*site, codes->at(1));
    }
  }
  Json out;
  out["one_way"] = measure(by_table, threads, true);
  out["inverse"] = measure(by_inverse, threads, false);
  const auto site = open_linking_site();  // who is logged in while bare calls are made
  for (const unsigned count_of : threads) out["bare_calls"].push_back(bare_calls(token, count_of));
  fmt::print("{}\n", out.dump(2));
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace fugo::bench

int main(int argc, char** argv) {
  const int code = fugo::bench::run(argc, argv);
  fugo::hsm::finalize_all();
  return code;
}
