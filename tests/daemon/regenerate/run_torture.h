// The crash harness of regenerations: every command of a run, and a merger of agencies, killed at
// random durable steps, and what comes out compared with the undisturbed run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace fugo::test {

struct RunTortureOptions {
  std::uint64_t kills = 300;
  std::uint64_t seed = 1;
  std::size_t cases = 0;  // so many of them only; 0: all
  std::string report;     // a file that is written, or empty
};

// RunTortureReport is what was done; `fault` says what came out wrong, and is empty when all is
// well.
struct RunTortureReport {
  std::uint64_t kills = 0, rounds = 0;
  std::uint64_t kills_again = 0;  // of them, of a command that went on after it had been killed
  std::map<std::string, std::uint64_t> kills_by_case;
  double seconds = 0;
  std::string fault;

  [[nodiscard]] std::string text(const RunTortureOptions& options) const;
};

// torture_runs shares the kills among the cases. In each round the command is killed at a random
// durable step, given again, perhaps killed again, and so on, then given to its end: mapping files,
// record aliases, digest and state must be those of the undisturbed command, nothing may be left
// over, and fugo verify must find nothing. The first fault ends it.
[[nodiscard]] RunTortureReport torture_runs(const RunTortureOptions& options);

}  // namespace fugo::test
