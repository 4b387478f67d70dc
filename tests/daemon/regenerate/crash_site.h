// A site that stands before one step of a regeneration, or before a merger, as often as one likes.
#pragma once

#include <filesystem>
#include <map>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "tests/daemon/regenerate/regenerated_site.h"
#include "tests/fault/run_with_faults.h"

namespace fugo::test {

// CrashCase is a command in the life of a run that makes `what` anew: "plan", "run", "commit",
// "commit --reject-old", "ack", "finish" or "abort"; or "merge", of two agencies.
struct CrashCase {
  std::string what;
  std::string step;
};

inline void PrintTo(const CrashCase& which, std::ostream* out) {
  *out << which.step << " of " << which.what;
}

// Left is what a step leaves for everybody to see.
struct Left {
  std::map<std::string, std::string> answers;  // mapping files, or the merger's
  std::string records, digest, state;
  friend bool operator==(const Left&, const Left&) = default;
};

// CrashSite prepares everything up to the case's command, and saves it. Everybody is issued symbols
// at all of kHolders; one code is changed.
class CrashSite {
 public:
  explicit CrashSite(const CrashCase& which);

  // reset brings back what was saved.
  void reset() const;
  // give gives the command. Steps of the tokens' files do not count.
  [[nodiscard]] testing::FaultOutcome give(testing::FaultPlan plan) const;
  // settle gives it to its end, after it was killed or not; "" or what went wrong. A command that
  // had committed before it was killed may be refused when it is given again.
  [[nodiscard]] std::string settle(const Left& expected) const;

  [[nodiscard]] Left left() const;
  // litter names what is left lying about: names that begin with a dot, and bulk files that the
  // manifest does not name.
  [[nodiscard]] std::string litter() const;

  [[nodiscard]] const TestSite& site() const { return site_; }

 private:
  [[nodiscard]] std::vector<std::string> words() const;
  [[nodiscard]] std::vector<std::string> step_words(const std::string& name) const;
  [[nodiscard]] std::string state() const;
  [[nodiscard]] std::filesystem::path maps() const { return site_.scratch() / "maps"; }
  [[nodiscard]] std::vector<std::pair<std::filesystem::path, std::filesystem::path>> places() const;
  void save() const;

  TestSite site_;
  const CrashCase case_;
  std::string run_;
};

}  // namespace fugo::test
