#include "tests/daemon/service/torture.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>
#include <vector>

#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/service/daemon_fixture.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

const std::vector<std::string> kAgencies = {"131016", "472018", "131130", "141003"};
constexpr const char* kFolders[] = {"inbox", "work", "held", "outbox", "refused", "records"};

std::string head(const std::string& id, const std::string& kind, std::size_t rows,
                 const std::string& columns) {
  return "#fugo-request,version=1,id=" + id + ",kind=" + kind + ",records=" + std::to_string(rows) +
         "\n" + columns + "\n";
}

std::string issue(const std::string& id, std::uint64_t first, std::size_t residents) {
  return request_text(id, trial_rows(first, residents, kAgencies, first + 1));
}

// Residents [first, first + count) get codes that nobody had.
std::string change(const std::string& id, std::uint64_t first, std::size_t count) {
  std::string text = head(id, "change", count, "old_resident_code,new_resident_code");
  for (std::uint64_t i = first; i < first + count; ++i)
    text += resident_code(i) + "," + resident_code(100'000 + i) + "\n";
  return text;
}

std::string removal(const std::string& id, std::uint64_t first, std::size_t count) {
  std::string text = head(id, "delete", count, "resident_code,reason");
  for (std::uint64_t i = first; i < first + count; ++i)
    text += resident_code(i) + ",clerical_error\n";
  return text;
}

// Outcome is everything that must be the same, however often the daemon was killed.
struct Outcome {
  std::map<std::string, std::string> files;      // answers, aliases, names of refusals
  std::map<std::string, std::uint64_t> journal;  // entries by act
  std::string digest;
};

class Torture {
 public:
  explicit Torture(const TortureOptions& options) : options_(options), random_(options.seed) {
    site_.set_config("[ledger]", "[issue]\nsegment_rows = 25\n\n[ledger]");
    fs::copy(site_.directory() / "ledger", site_.scratch() / "before", fs::copy_options::recursive);
    fs::copy(site_.directory() / "tokens", site_.scratch() / "tokens", fs::copy_options::recursive);
  }

  TortureReport run() {
    const auto started = Clock::now();
    expected_ = undisturbed();
    while (report_.fault.empty() && report_.kills < options_.kills) {
      ++report_.rounds;
      reset();
      if (disturb(/*expect_held=*/true)) {
        approve();
        disturb(/*expect_held=*/false);
      }
      if (report_.fault.empty()) compare(outcome());
    }
    report_.seconds = std::chrono::duration<double>(Clock::now() - started).count();
    return report_;
  }

 private:
  // SoftHSM rewrites token.object in place when somebody logs in, so a kill at that moment loses
  // the token. That is a fault of the stand-in: a device is not killed with the process that uses
  // it.
  void restore_tokens() const {
    fs::remove_all(site_.directory() / "tokens");
    fs::copy(site_.scratch() / "tokens", site_.directory() / "tokens", fs::copy_options::recursive);
  }

  void reset() const {
    fs::remove_all(site_.directory() / "ledger");
    fs::copy(site_.scratch() / "before", site_.directory() / "ledger", fs::copy_options::recursive);
    for (const char* name : kFolders) fs::remove_all(folder(site_, name));
    drop(site_, "01-issue", issue("I1", 0, 40));
    drop(site_, "02-bad", "#fugo-request,version=1,id=BAD,kind=issue,records=9\n");
    drop(site_, "03-issue", issue("I2", 20, 40));
    if (options_.all_kinds) {
      drop(site_, "04-change", change("C1", 10, 30));
      drop(site_, "06-delete", removal("D1", 5, 20));
    }
    drop(site_, "05-issue", issue("I3", 60, 30));
  }

  [[nodiscard]] bool quiet(bool expect_held) const {
    const std::size_t held = options_.all_kinds && expect_held ? 1 : 0;
    return entries(folder(site_, "inbox")).empty() && entries(folder(site_, "work")).empty() &&
           entries(folder(site_, "held")).size() == held && refused(site_, "BAD") &&
           answered(site_, "I3") && (held == 1 || !options_.all_kinds || answered(site_, "D1"));
  }

  void approve() {
    if (!options_.all_kinds) return;
    const auto approved = site_.run({"jobs", "approve", "D1"});
    if (approved.exit_code != 0) report_.fault = "D1 could not be approved: " + approved.err;
  }

  Outcome undisturbed() {
    reset();
    for (const bool expect_held : {true, false}) {
      phase_[expect_held ? 0 : 1] = finish(expect_held);
      if (expect_held) approve();
    }
    return outcome();
  }

  // Lets a daemon work until there is nothing left to do; how long that took it.
  std::chrono::microseconds finish(bool expect_held) {
    const auto started = Clock::now();
    RunningDaemon daemon(site_);
    ++report_.starts;
    if (!wait_for([&] { return quiet(expect_held) || daemon.ended(); }) || daemon.ended())
      report_.fault = "the daemon does not get to the end:\n" + daemon.log();
    const auto took = Clock::now() - started;
    if (const int code = daemon.stop(); code != 0 && report_.fault.empty())
      report_.fault = "the daemon ended with " + std::to_string(code) + ":\n" + daemon.log();
    return std::chrono::duration_cast<std::chrono::microseconds>(took);
  }

  // Kills the daemon at random moments until all is quiet; true when there is no fault.
  bool disturb(bool expect_held) {
    while (!quiet(expect_held) && report_.kills < options_.kills && report_.fault.empty()) {
      RunningDaemon daemon(site_, RunningDaemon::DontWait{});
      ++report_.starts;
      std::uniform_int_distribution<std::int64_t> moment(0, phase_[expect_held ? 0 : 1].count());
      const auto end = Clock::now() + std::chrono::microseconds(moment(random_));
      while (Clock::now() < end && !quiet(expect_held)) std::this_thread::sleep_for(200us);
      note_kill(daemon, quiet(expect_held));
      daemon.kill_now();
      restore_tokens();
    }
    if (report_.fault.empty()) finish(expect_held);
    return report_.fault.empty();
  }

  // A daemon that has nothing left to do is killed too, but there is nothing to lose: not counted.
  void note_kill(RunningDaemon& daemon, bool nothing_to_do) {
    if (daemon.ended()) {
      report_.fault = "the daemon ended by itself:\n" + daemon.log();
      return;
    }
    if (nothing_to_do) {
      ++report_.kills_of_idle;
      return;
    }
    ++report_.kills;
    const auto work = entries(folder(site_, "work"));
    const bool ready = daemon.notices().find("READY=1") != std::string::npos;
    ++report_.kills_by_moment[!ready         ? "starting"
                              : work.empty() ? "between files"
                                             : "working on " + work.front()];
  }

  Outcome outcome() const {
    Outcome out;
    for (const auto& id : entries(folder(site_, "outbox")))
      for (const auto& [name, content] : csv_files(folder(site_, "outbox") / id))
        out.files["outbox/" + id + "/" + name] = content;
    for (const auto& [name, content] : csv_files(folder(site_, "records")))
      out.files["records/" + name] = content;
    for (const auto& id : entries(folder(site_, "refused"))) out.files["refused/" + id] = "";
    const auto journal = site_.run({"--json", "journal", "show"}).json();
    for (const auto& entry : journal["entries"]) ++out.journal[entry["act"].get<std::string>()];
    out.digest = site_.run({"digest", "--without-times"}).out;
    return out;
  }

  void compare(const Outcome& out) {
    std::ostringstream fault;
    for (const auto& [name, content] : expected_.files)
      if (!out.files.contains(name))
        fault << name << " is missing\n";
      else if (out.files.at(name) != content)
        fault << name << " differs\n";
    for (const auto& [name, content] : out.files)
      if (!expected_.files.contains(name)) fault << name << " is too many\n";
    for (const auto& [act, count] : expected_.journal)
      if (!out.journal.contains(act) || out.journal.at(act) != count)
        fault << "the journal has " << (out.journal.contains(act) ? out.journal.at(act) : 0)
              << " entries " << act << " instead of " << count << "\n";
    if (out.digest != expected_.digest) fault << "the digest differs\n";
    for (const char* name : {"inbox", "work", "held", "outbox", "records"})
      for (const auto& entry : fs::recursive_directory_iterator(folder(site_, name))) {
        const std::string left = entry.path().filename().string();
        if (left.front() == '.' && left != ".lock" && left != ".wake")
          fault << entry.path().string() << " is left over\n";
      }
    const auto verified = site_.run({"verify"});
    if (verified.exit_code != 0) fault << "fugo verify: " << verified.out << verified.err;
    report_.fault = fault.str();
  }

  const TortureOptions options_;
  std::mt19937_64 random_;
  TestSite site_;
  Outcome expected_;
  // Of the undisturbed run: until a deletion is held, and after its approval.
  std::array<std::chrono::microseconds, 2> phase_{};
  TortureReport report_;
};

}  // namespace

std::string TortureReport::text(const TortureOptions& options) const {
  std::ostringstream out;
  out << "kills            " << kills << "\nseed             " << options.seed
      << "\nkinds            " << (options.all_kinds ? "issue, change, delete" : "issue")
      << "\nrounds           " << rounds << "\nstarts           " << starts << "\nseconds          "
      << seconds << "\nkilled while\n";
  for (const auto& [moment, count] : kills_by_moment)
    out << "  " << moment << std::string(moment.size() < 26 ? 26 - moment.size() : 1, ' ') << count
        << "\n";
  out << "and, not counted, with nothing left to do  " << kills_of_idle << "\n";
  out << (fault.empty() ? "every round came out as the undisturbed run\n" : "FAULT\n" + fault);
  return out.str();
}

TortureReport torture(const TortureOptions& options) {
  const auto report = Torture(options).run();
  if (!options.report.empty()) std::ofstream(options.report) << report.text(options);
  return report;
}

}  // namespace fugo::test
