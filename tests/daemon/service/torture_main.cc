// fugo-torture: the crash harness with any number of kills.
//   fugo-torture [KILLS [SEED [REPORT-FILE]]]
#include <cstdlib>
#include <iostream>

#include "tests/daemon/service/torture.h"

int main(int argc, char** argv) {
  fugo::test::TortureOptions options;
  options.kills = 1000;
  if (argc > 1) options.kills = std::strtoull(argv[1], nullptr, 10);
  if (argc > 2) options.seed = std::strtoull(argv[2], nullptr, 10);
  if (argc > 3) options.report = argv[3];
  if (argc > 4 || options.kills == 0) {
    std::cerr << "usage: fugo-torture [KILLS [SEED [REPORT-FILE]]]\n";
    return 2;
  }
  const auto report = fugo::test::torture(options);
  std::cout << report.text(options);
  return report.fault.empty() ? 0 : 1;
}
