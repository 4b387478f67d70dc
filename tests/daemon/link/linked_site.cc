#include "tests/daemon/link/linked_site.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "daemon/site_access.h"
#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/jobs/trial_requests.h"

namespace fugo::test {

using engine::Linking;
using engine::LinkStatus;
using keystore::AgencyNumber;

namespace {

std::vector<TrialRow> rows_of(const std::vector<LinkedSite::Issuance>& wanted) {
  std::vector<TrialRow> rows;
  for (const auto& [agency, resident] : wanted)
    rows.push_back({"R" + std::to_string(resident), agency, resident_code(resident)});
  return rows;
}

}  // namespace

void LinkedSite::start_daemon() { daemon_ = std::make_unique<RunningDaemon>(site_); }

int LinkedSite::stop_daemon() {
  const int code = daemon_->stop();
  daemon_.reset();
  return code;
}

void LinkedSite::kill_daemon() {
  daemon_->kill_now();
  daemon_.reset();
}

std::filesystem::path LinkedSite::wait(const std::string& id) {
  bool approved = false;
  const auto done = [&] {
    (void)daemon_->notices();  // it waits for a reader of them when they are many
    if (answered(site_, id) || refused(site_, id) || daemon_->ended()) return true;
    if (approved || !std::filesystem::exists(folder(site_, "held") / id)) return false;
    const auto given = site_.run({"jobs", "approve", id});
    approved = given.exit_code == 0;
    // A regeneration's finish gives the ledger new keys: a command that had it open is given again.
    EXPECT_TRUE(approved || given.err.find("the ledger has new keys") != std::string::npos)
        << given.err;
    return false;
  };
  EXPECT_TRUE(wait_for(done) && answered(site_, id)) << id << ": " << daemon_->log();
  return folder(site_, "outbox") / id;
}

std::filesystem::path LinkedSite::carry_out(const std::string& id, const std::string& kind,
                                            const std::string& text,
                                            const std::vector<std::string>& more) {
  if (daemon_) {
    drop(site_, id + ".csv", text);
    return wait(id);
  }
  const auto done = run_kind(site_, id, kind, text, more);
  EXPECT_EQ(done.exit_code, 0) << kind << ": " << done.err;
  return site_.scratch() / "out" / id;
}

std::map<std::string, std::vector<Fields>> LinkedSite::lines_of(
    const std::filesystem::path& answers) {
  std::map<std::string, std::vector<Fields>> lines;
  for (const auto& [name, content] : csv_files(answers)) {
    if (name == "rejects.csv") continue;
    auto all = split_lines(content);
    lines[name.substr(0, name.size() - 4)].assign(all.begin() + 2, all.end());
  }
  return lines;
}

std::map<std::string, std::vector<Fields>> LinkedSite::run_request(
    const std::string& kind, const std::function<std::string(const std::string& id)>& text,
    const std::vector<std::string>& more) {
  const auto id = "J" + std::to_string(++jobs_);
  return lines_of(carry_out(id, kind, text(id), more));
}

void LinkedSite::take_symbols(const std::map<std::string, std::vector<Fields>>& answers) {
  for (const auto& [agency, lines] : answers)
    for (const Fields& line : lines)
      symbols_[agency][std::stoul(line[0].substr(1))] = *decode_symbol(line[1]);
}

void LinkedSite::issue(const std::vector<Issuance>& wanted) {
  take_symbols(run_request(
      "issue", [&](const std::string& id) { return request_text(id, rows_of(wanted)); }));
}

std::string LinkedSite::drop_issue(const std::vector<Issuance>& wanted) {
  auto id = "J" + std::to_string(++jobs_);
  drop(site_, id + ".csv", request_text(id, rows_of(wanted)));
  return id;
}

void LinkedSite::take_issue(const std::string& id) { take_symbols(lines_of(wait(id))); }

void LinkedSite::issue_pattern(std::size_t first, std::size_t count) {
  std::vector<Issuance> wanted;
  for (std::size_t agency = 0; agency < kLinkAgencies.size(); ++agency)
    for (std::size_t resident = first; resident < first + count; ++resident)
      if (!left_out(agency, resident)) wanted.emplace_back(kLinkAgencies[agency], resident);
  issue(wanted);
}

void LinkedSite::change(std::size_t from, std::size_t to) {
  changed_.insert(from);
  const auto answers = run_request("change", [&](const std::string& id) {
    return kind_text(id, "change", {{resident_code(from), resident_code(to)}});
  });
  for (const auto& [agency, lines] : answers)
    for (const Fields& line : lines) {
      EXPECT_EQ(line[0], encode_symbol(symbol(agency, from)));
      symbols_[agency][to] = *decode_symbol(line[1]);
    }
}

void LinkedSite::remove(std::size_t resident) {
  removed_.insert(resident);
  (void)run_request("delete",
                    [&](const std::string& id) {
                      return kind_text(id, "delete", {{resident_code(resident), "clerical_error"}});
                    },
                    {"--confirm", "1"});
}

void LinkedSite::run(const std::vector<std::string>& arguments) const {
  const auto done = site_.run(arguments);
  EXPECT_EQ(done.exit_code, 0) << arguments[0] << ": " << done.err;
}

bool LinkedSite::has(const std::string& agency, std::size_t resident) const {
  const auto found = symbols_.find(agency);
  return found != symbols_.end() && found->second.count(resident) != 0;
}

Block LinkedSite::symbol(const std::string& agency, std::size_t resident) const {
  EXPECT_TRUE(has(agency, resident)) << resident << " at " << agency;
  return has(agency, resident) ? symbols_.at(agency).at(resident) : Block{};
}

std::unique_ptr<engine::Site> LinkedSite::open_site(
    const std::function<void(hsm::TokenSettings&)>& change) const {
  const auto configured = daemon::load_settings(site_.config());
  EXPECT_TRUE(configured);
  auto token = configured->token(hsm::TokenRole::kLinking);
  EXPECT_TRUE(token);
  if (change) change(*token);
  auto site = engine::Site::open({configured->ledger_directory, *token}, keystore::Access::kRead);
  if (site) return std::move(*site);
  ADD_FAILURE() << site.error().message();
  return nullptr;
}

std::unique_ptr<Linking> LinkedSite::open(
    const engine::LinkingSettings& settings,
    const std::function<void(hsm::TokenSettings&)>& change) const {
  auto linking = Linking::open(open_site(change), settings);
  if (linking) return std::move(*linking);
  ADD_FAILURE() << linking.error().message();
  return nullptr;
}

void link_all(Linking& linking, std::vector<Asked>& asked) {
  const std::size_t count = asked.size();
  std::map<std::string, AgencyNumber> numbers;
  const auto number_of = [&](const std::string& code) {
    const auto [found, fresh] = numbers.try_emplace(code, 0);
    if (fresh) found->second = number(linking, code);
    return found->second;
  };
  std::vector<AgencyNumber> from, to;
  std::vector<Block> symbols, linked(count), records(count);
  std::vector<LinkStatus> statuses;
  for (const Asked& item : asked) {
    from.push_back(number_of(item.from));
    to.push_back(number_of(item.to));
    symbols.push_back(item.symbol);
    statuses.push_back(item.status);
  }
  linking.link(from, to, symbols, linked, records, statuses);
  for (std::size_t i = 0; i < count; ++i) {
    asked[i].status = statuses[i];
    asked[i].linked = linked[i];
    asked[i].record = records[i];
  }
}

Asked link_one(Linking& linking, Asked asked) {
  std::vector<Asked> one = {std::move(asked)};
  link_all(linking, one);
  return one[0];
}

AgencyNumber number(Linking& linking, const std::string& code) {
  const auto found = linking.find_agency(code);
  EXPECT_TRUE(found && *found) << code;
  return found ? found->value_or(0) : 0;
}

Block strange_symbol(std::uint64_t seed) {
  Block symbol;
  store_be(symbol.bytes.data(), seed * 0x9E37'79B9'7F4A'7C15ULL + 1);
  store_be(symbol.bytes.data() + 8, seed);
  return symbol;
}

}  // namespace fugo::test
