// fugo-torture-runs: the crash harness of regenerations with any number of kills.
//   fugo-torture-runs [KILLS [SEED [REPORT-FILE]]]
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "tests/daemon/regenerate/run_torture.h"

int main(int argc, char** argv) {
  fugo::test::RunTortureOptions options;
  if (argc > 1) options.kills = std::strtoull(argv[1], nullptr, 10);
  if (argc > 2) options.seed = std::strtoull(argv[2], nullptr, 10);
  if (argc > 3) options.report = argv[3];
  if (argc > 4 || options.kills == 0) {
    std::cerr << "usage: fugo-torture-runs [KILLS [SEED [REPORT-FILE]]]\n";
    return 2;
  }
  const auto report = fugo::test::torture_runs(options);
  std::cout << report.text(options);
  return report.fault.empty() ? 0 : 1;
}
