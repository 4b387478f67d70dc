#include "tests/daemon/regenerate/run_torture.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <random>
#include <sstream>
#include <vector>

#include "tests/daemon/regenerate/crash_site.h"

namespace fugo::test {
namespace {

using Clock = std::chrono::steady_clock;

const std::vector<CrashCase>& all_cases() {
  static const std::vector<CrashCase> kCases = {{"linkage,record", "run"},
                                                {"linkage,record", "commit"},
                                                {"linkage,record", "finish"},
                                                {"", "merge"},
                                                {"linkage,agency", "abort"},
                                                {"rebase", "run"},
                                                {"rebase", "commit"},
                                                {"rebase", "finish"},
                                                {"agency", "run"},
                                                {"agency", "commit"},
                                                {"agency", "finish"},
                                                {"linkage", "plan"},
                                                {"linkage,agency,record,ledger", "finish"},
                                                {"linkage", "commit --reject-old"},
                                                {"agency", "plan"},
                                                {"agency", "ack"}};
  return kCases;
}

std::string name_of(const CrashCase& which) {
  return which.what.empty() ? which.step + " of agencies" : which.step + " of " + which.what;
}

class RunTorture {
 public:
  explicit RunTorture(const RunTortureOptions& options)
      : options_(options), random_(options.seed) {}

  RunTortureReport run() {
    const auto started = Clock::now();
    std::vector<CrashCase> cases = all_cases();
    if (options_.cases != 0 && options_.cases < cases.size()) cases.resize(options_.cases);
    for (std::size_t i = 0; i < cases.size() && report_.fault.empty(); ++i) {
      const std::uint64_t left = options_.kills - report_.kills;
      torture(cases[i], (left + cases.size() - i - 1) / (cases.size() - i));
    }
    report_.seconds = std::chrono::duration<double>(Clock::now() - started).count();
    return report_;
  }

 private:
  void torture(const CrashCase& which, std::uint64_t kills) {
    const CrashSite site(which);
    const auto undisturbed = site.give({});
    if (undisturbed.exit_code != 0) return note(which, "undisturbed: " + undisturbed.errors);
    const Left expected = site.left();
    std::uint64_t done = 0;
    for (std::uint64_t round = 0; done < kills && report_.fault.empty(); ++round) {
      site.reset();
      ++report_.rounds;
      const std::uint64_t killed = kill_some(site, undisturbed.steps, kills - done);
      done += killed;
      report_.kills += killed;
      report_.kills_by_case[name_of(which)] += killed;
      note(which, site.settle(expected));
      compare(which, site, expected);
      if (round % 4 == 0 || done >= kills) verify(which, site);
      if (round > 20 * kills) note(which, "it cannot be killed");
    }
  }

  // Kills the command, and what goes on, until one comes to its end or it was enough.
  std::uint64_t kill_some(const CrashSite& site, std::uint64_t steps, std::uint64_t most) {
    std::uint64_t killed = 0;
    do {
      testing::FaultPlan plan;
      plan.kill_at = 1 + random_() % steps;
      plan.kill_after = random_() % 2 == 0;
      if (site.give(plan).signal != SIGKILL) break;
      if (++killed > 1) ++report_.kills_again;
    } while (killed < most && random_() % 2 == 0);
    return killed;
  }

  void note(const CrashCase& which, const std::string& fault) {
    if (!fault.empty() && report_.fault.empty()) report_.fault = name_of(which) + ": " + fault;
  }

  void compare(const CrashCase& which, const CrashSite& site, const Left& expected) {
    const Left left = site.left();
    if (left.answers != expected.answers) note(which, "the answers differ\n");
    if (left.records != expected.records) note(which, "the record aliases differ\n");
    if (left.digest != expected.digest) note(which, "the digest differs\n");
    if (left.state != expected.state)
      note(which, "the state differs:\n" + left.state + "\ninstead of\n" + expected.state + "\n");
    if (const auto litter = site.litter(); !litter.empty()) note(which, "left over:\n" + litter);
  }

  void verify(const CrashCase& which, const CrashSite& site) {
    const auto verified = site.site().run({"verify"});
    if (verified.exit_code != 0) note(which, "fugo verify: " + verified.out + verified.err);
  }

  const RunTortureOptions options_;
  std::mt19937_64 random_;
  RunTortureReport report_;
};

}  // namespace

std::string RunTortureReport::text(const RunTortureOptions& options) const {
  std::ostringstream out;
  out << "kills within runs  " << kills << "\nof what went on    " << kills_again
      << "\nseed               " << options.seed << "\nrounds             " << rounds
      << "\nseconds            " << seconds << "\nkilled during\n";
  for (const auto& [name, count] : kills_by_case)
    out << "  " << name << std::string(name.size() < 40 ? 40 - name.size() : 1, ' ') << count
        << "\n";
  out << (fault.empty() ? "every round came out as the undisturbed run\n" : "FAULT\n" + fault);
  return out.str();
}

RunTortureReport torture_runs(const RunTortureOptions& options) {
  const auto report = RunTorture(options).run();
  if (!options.report.empty()) std::ofstream(options.report) << report.text(options);
  return report;
}

}  // namespace fugo::test
