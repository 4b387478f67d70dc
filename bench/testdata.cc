// fugo-testdata: registries and request files of made-up residents, for demo, tests and benchmarks.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>

#include "base/file.h"
#include "bench/request_file.h"

namespace {

using fugo::Result;
using fugo::Status;

constexpr std::size_t kRegistryLimitInBytes = 16U << 20U;

struct Options {
  std::string out, registry;
  unsigned national_bodies = 0;
  std::uint64_t seed = 1;
  fugo::bench::RequestOptions request;
};

Status write_agencies(const Options& options) {
  const auto agencies = fugo::bench::make_registry(options.national_bodies);
  FUGO_TRY(
      fugo::write_durably(options.out, fugo::as_bytes(fugo::bench::registry_csv(agencies)), 0644));
  fmt::print(stderr, "{}: {} agencies\n", options.out, agencies.size());
  return {};
}

Status write_requests(const Options& options) {
  FUGO_ASSIGN(const auto csv, fugo::read_small(options.registry, kRegistryLimitInBytes));
  FUGO_ASSIGN(auto agencies, fugo::bench::parse_registry(csv));
  FUGO_ASSIGN(const auto residents,
              fugo::bench::Residents::create(std::move(agencies), options.seed));
  FUGO_ASSIGN(const auto rows, fugo::bench::write_request(residents, options.request, options.out));
  fmt::print(stderr, "{}: {} rows\n", options.out, rows);
  return {};
}

void add_request_options(CLI::App& command, Options& options) {
  auto& request = options.request;
  command.add_option("--agencies", options.registry, "registry, as `agencies` writes it")
      ->required();
  command.add_option("--out", options.out, "request file to write")->required();
  command.add_option("--id", request.id, "id of the request")->required();
  command.add_option("--environment", request.environment, "left out of the file unless given");
  command.add_option("--seed", options.seed, "another seed: other people")->capture_default_str();
  command.add_option("--residents", request.residents, "number of (new) residents")->required();
  command.add_option("--first", request.first, "number of the first of them")
      ->capture_default_str();
  command
      .add_option("--per-resident", request.requests_per_resident,
                  "requests for each of them, at different agencies (1 to 12)")
      ->capture_default_str();
  command.add_option("--known-requests", request.known_requests,
                     "requests for residents numbered below --known, mixed in");
  command.add_option("--known", request.known, "number of known residents");
  command
      .add_option("--known-ordinal", request.known_ordinal,
                  "which of their requests: 0 at home, 1 at the prefecture, 2 to 11 elsewhere")
      ->capture_default_str();
  command.add_flag("--shuffled-numbers", request.shuffled_numbers,
                   "processing numbers in random order instead of ascending");
  command.add_option("--bad", request.bad_rows_each, "bad rows of each reason, mixed in");
  command.add_option("--suspended", request.suspended_agency,
                     "a suspended agency, for bad rows of that reason");
}

}  // namespace

int main(int argc, char** argv) try {
  CLI::App app("Registries and request files of made-up residents");
  app.require_subcommand(1);
  Options options;
  auto* agencies = app.add_subcommand("agencies", "write a registry of agencies");
  agencies->add_option("--out", options.out, "CSV file to write")->required();
  agencies->add_option("--national-bodies", options.national_bodies, "further agencies")
      ->capture_default_str();
  auto* requests = app.add_subcommand("requests", "write a request file of kind issue");
  add_request_options(*requests, options);
  CLI11_PARSE(app, argc, argv);

  const Status status = *agencies ? write_agencies(options) : write_requests(options);
  if (status) return EXIT_SUCCESS;
  fmt::print(stderr, "fugo-testdata: {}\n", status.error().message());
  return EXIT_FAILURE;
} catch (const std::exception& error) {
  fmt::print(stderr, "fugo-testdata: {}\n", error.what());
  return EXIT_FAILURE;
}
