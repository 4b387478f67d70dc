#include "tests/daemon/seeing/prometheus_server.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <thread>

#include "tests/daemon/seeing/http.h"

namespace fugo::test {
namespace {

bool poll_until(const PrometheusServer& server, const std::function<bool()>& done) {
  while (!server.gone()) {
    if (done()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return false;
}

}  // namespace

PrometheusServer::PrometheusServer(std::uint16_t target, const std::filesystem::path& rules)
    : port_(free_port()) {
  const auto config = directory_.path() / "prometheus.yml";
  write_file(config,
             "global: {scrape_interval: 200ms, evaluation_interval: 200ms}\n"
             "rule_files: [" +
                 rules.string() +
                 "]\n"
                 "scrape_configs:\n"
                 "  - job_name: fugo\n"
                 "    static_configs: [{targets: [\"127.0.0.1:" +
                 std::to_string(target) + "\"]}]\n");
  const auto storage = "--storage.tsdb.path=" + (directory_.path() / "data").string();
  const auto listen = "--web.listen-address=127.0.0.1:" + std::to_string(port_);
  const auto file = "--config.file=" + config.string();
  child_ = ::fork();
  if (child_ != 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that is killed leaves no server
  ::execlp("prometheus", "prometheus", file.c_str(), storage.c_str(), listen.c_str(),
           "--log.level=error", nullptr);
  ::_exit(127);
}

PrometheusServer::~PrometheusServer() {
  ::kill(child_, SIGKILL);
  ::waitpid(child_, nullptr, 0);
}

nlohmann::json PrometheusServer::get(const std::string& path) const {
  const auto answer = http_get(port_, "/api/v1/" + path);
  const auto body = answer.find("\r\n\r\n");
  if (body == std::string::npos) return nullptr;
  const auto json = nlohmann::json::parse(answer.substr(body + 4), nullptr, false);
  return json.is_object() && json.contains("data") ? json["data"] : nlohmann::json();
}

std::string PrometheusServer::value(const std::string& query) const {
  const auto data = get("query?query=" + query);
  if (!data.is_object() || data["result"].empty()) return {};
  return data["result"][0]["value"][1];
}

std::set<std::string> PrometheusServer::alerts(const std::string& state) const {
  std::set<std::string> found;
  const auto data = get("alerts");
  if (!data.is_object()) return found;
  for (const auto& alert : data["alerts"])
    if (alert["state"] == state) found.insert(alert["labels"]["alertname"]);
  return found;
}

// WNOWAIT: the destructor takes the child away.
bool PrometheusServer::gone() const {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(child_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
         info.si_pid != 0;
}

bool wait_for_firing(const PrometheusServer& server, const std::set<std::string>& wanted) {
  return poll_until(server, [&] {
    return server.get("alerts").is_object() && server.alerts("firing") == wanted;
  });
}

bool wait_for_value(const PrometheusServer& server, const std::string& query,
                    const std::string& wanted) {
  return poll_until(server, [&] { return server.value(query) == wanted; });
}

}  // namespace fugo::test
