// The crash harness: a daemon that is killed again and again over one batch of files, and what
// comes out compared with an undisturbed run.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace fugo::test {

struct TortureOptions {
  std::uint64_t kills = 50;
  std::uint64_t seed = 1;
  bool all_kinds = true;  // change and delete as well as issue
  std::string report;     // a file that is written, or empty
};

// TortureReport is what was done; `fault` says what came out wrong, and is empty when all is well.
struct TortureReport {
  std::uint64_t kills = 0, rounds = 0, starts = 0;
  std::uint64_t kills_of_idle = 0;  // after all was done, when there is nothing to lose
  std::map<std::string, std::uint64_t> kills_by_moment;  // what was going on
  double seconds = 0;
  std::string fault;

  [[nodiscard]] std::string text(const TortureOptions& options) const;
};

// torture kills fugod at random moments of its work until there were as many kills as asked for,
// and then to the end of the round. In every round the same files are dropped; answers, record
// aliases, refusals, the content's digest and the journal must be those of the undisturbed run, and
// nothing may be left over; fugo verify must find nothing. The first fault ends it.
[[nodiscard]] TortureReport torture(const TortureOptions& options);

}  // namespace fugo::test
