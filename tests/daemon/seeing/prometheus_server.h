// A real Prometheus server that scrapes one exporter and evaluates rules.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "tests/daemon/site_fixture.h"

namespace fugo::test {

// PrometheusServer scrapes 127.0.0.1:TARGET as job "fugo" five times a second, and evaluates as
// often. It listens on a port of 127.0.0.1, keeps its data in a temporary directory, and goes with
// the object.
class PrometheusServer {
 public:
  PrometheusServer(std::uint16_t target, const std::filesystem::path& rules);
  ~PrometheusServer();
  PrometheusServer(const PrometheusServer&) = delete;
  PrometheusServer& operator=(const PrometheusServer&) = delete;

  // get is the `data` of an answer to GET /api/v1/PATH; null while the server does not answer.
  [[nodiscard]] nlohmann::json get(const std::string& path) const;
  // value is that of the first sample of a query; discarded when there is none.
  [[nodiscard]] std::string value(const std::string& query) const;
  // alerts names those in a state: "pending", "firing".
  [[nodiscard]] std::set<std::string> alerts(const std::string& state) const;
  // gone tells whether the server ended by itself, which it never should.
  [[nodiscard]] bool gone() const;

 private:
  TemporaryDirectory directory_;
  std::uint16_t port_;
  pid_t child_ = 0;
};

// wait_for_firing and wait_for_value poll until it is so; false when the server ended.
[[nodiscard]] bool wait_for_firing(const PrometheusServer& server,
                                   const std::set<std::string>& wanted);
[[nodiscard]] bool wait_for_value(const PrometheusServer& server, const std::string& query,
                                  const std::string& wanted);

}  // namespace fugo::test
