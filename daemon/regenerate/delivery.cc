#include "daemon/regenerate/delivery.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>

#include "base/text.h"
#include "daemon/jobs/request_key.h"

namespace fugo::daemon {
namespace {

Result<Sha256> sha256_of(ByteView bytes) {
  FUGO_ASSIGN(auto stream, Sha256Stream::create());
  FUGO_TRY(stream.update(bytes));
  return stream.finish();
}

constexpr const char* kAct = "regenerate.delivery";

// content_key is a request's key whose nonce no request has: the last byte of it is zero in all.
Result<SecretBytes<32>> content_key(engine::Site& site) {
  auto source = merger_key(site.active_generation().number);
  source[sizeof(Block) - 1] = 1;
  return request_key(site, source);
}

// Given is what deliveries of today were let have, and whether one of them, or one of the run, had
// this content.
struct Given {
  std::uint64_t rows = 0;
  bool same = false;
};
Result<Given> given_today(const keystore::Ledger& ledger, const std::string& content,
                          const std::string& run) {
  constexpr std::uint64_t kPiece = 1000;
  Given given;
  std::set<std::string> seen;
  FUGO_ASSIGN(const auto state, ledger.state());
  const std::string today = local_day(unix_now());
  for (std::uint64_t end = state.journal_entries; end > 0;) {
    const std::uint64_t first = end - std::min(end, kPiece);
    FUGO_ASSIGN(const auto entries, ledger.journal(first, end - first));
    for (const auto& entry : entries) {
      if (entry.act != kAct) continue;
      const auto details = nlohmann::json::parse(entry.details, nullptr, false);
      const auto known = details.is_object() ? details.value("content", std::string()) : "";
      const bool of_today = local_day(entry.time) == today;
      const bool of_run = details.is_object() && details.value("run", std::string()) == run;
      given.same = given.same || (known == content && (of_today || of_run));
      const bool again = details.is_object() && details.value("again", false);
      if (!known.empty() && of_today && !again && seen.insert(known).second)
        given.rows += details.value("rows", std::uint64_t{0});
    }
    end = first;
  }
  return given;
}

}  // namespace

Status journal_delivery(const keystore::Ledger& ledger, keystore::Update& update,
                        const Delivery& delivery, const keystore::RunRow& run,
                        const keystore::Actor& actor, std::uint64_t rows_per_day) {
  constexpr std::uint64_t kTenth = 10, kLeastMore = 100;
  FUGO_ASSIGN(const Sha256 sum, delivery.content());
  const std::string content = hex(sum);
  FUGO_ASSIGN(const Given given, given_today(ledger, content, run.id));
  const std::uint64_t people = update.state().next_person - update.state().deleted_people;
  const std::uint64_t most = std::max(people + std::max(people / kTenth, kLeastMore), rows_per_day);
  if (!given.same && given.rows + delivery.rows() > most)
    return fail(
        ErrorCode::kRefused,
        fmt::format("the deliveries of today have {} rows, and may have {}",
                    given.rows + delivery.rows(), most),
        "--codes",
        "deliver each code once; what was aborted today counts too. [issue] rows_per_day can let "
        "a day have more");
  nlohmann::ordered_json details = {{"run", run.id},
                                    {"people_before", run.people_done},
                                    {"rows", delivery.rows()},
                                    {"content", content},
                                    {"clear_files", delivery.clear_files()},
                                    {"senders", nlohmann::ordered_json::array()}};
  if (given.same) details["again"] = true;  // it takes nothing of this day
  for (const auto& file : delivery.sealed_files())
    details["senders"].push_back({{"sender", file.sender.name},
                                  {"certificate", file.sender.certificate},
                                  {"file", hex(file.sha256)}});
  return update.append_journal(actor, kAct, details.dump());
}

Result<Sha256> Delivery::content() const { return sha256_of(contents_); }

Result<std::unique_ptr<Delivery>> Delivery::open(engine::Site& site,
                                                 const std::vector<std::filesystem::path>& files,
                                                 bool check_digits, const ExchangeRules& exchange,
                                                 const std::filesystem::path& temporary_directory) {
  std::unique_ptr<Delivery> delivery(new Delivery());
  delivery->opening_ = {exchange, &site.token(), &site.ledger()};
  FUGO_ASSIGN(delivery->agencies_, AgencyTable::create(site.agencies()));
  delivery->rules_.agencies = &delivery->agencies_;
  delivery->rules_.check_digits = check_digits;
  FUGO_ASSIGN(delivery->content_key_, content_key(site));
  for (const auto& path : files) FUGO_TRY(delivery->look_at(site, path, temporary_directory));
  return delivery;
}

Status Delivery::look_at(engine::Site& site, const std::filesystem::path& path,
                         const std::filesystem::path& temporary_directory) {
  File file;
  file.path = path;
  auto opened = Request::open(path, opening_);
  if (!opened && opening_.rules.require_encrypted && !is_encrypted_file(path))
    opened.error().hint = "encrypt it as a request, or give --clear-codes";
  FUGO_ASSIGN(file.request, std::move(opened));
  FUGO_TRY(file.request->check_sender(unix_now()));
  if (file.request->head().kind != keystore::JobKind::kIssue)
    return fail(ErrorCode::kRefused, "is not of kind issue", path.string() + ":1",
                "a delivery of resident codes has the form of an issue request");
  const auto keys = site.ledger().keys();
  SurveyOptions options;
  options.rules = rules_;
  options.environment = site.ledger().header().environment;
  options.hmac_key = &content_key_;
  options.spill_key = &keys->spill();
  options.temporary_directory = temporary_directory;
  FUGO_ASSIGN(file.survey, file.request->survey(options));
  rejected_ += file.survey.rejects.size();
  rows_ += file.survey.rows - file.survey.rejects.size();
  contents_.insert(contents_.end(), file.survey.hmac.begin(), file.survey.hmac.end());
  if (!file.request->sender().name.empty()) {
    FUGO_ASSIGN(const Sha256 sealed, hash_file(path));
    FUGO_TRY(file.request->check_unchanged());
    sealed_.push_back({file.request->sender(), sealed});
    FUGO_ASSIGN(file.text, sha256_of(as_bytes(file.request->text())));
    file.request.reset();
  }
  files_.push_back(std::move(file));
  return {};
}

Status Delivery::read(const File& file, Request& request, const TakeCodes& take) const {
  Segment segment;
  for (std::uint64_t row = 0; row < file.survey.rows; row += kRowsAtOnce) {
    FUGO_TRY(request.read(file.survey, rules_, row, kRowsAtOnce, segment));
    FUGO_TRY(take(segment.resident_codes()));
  }
  return request.check_unchanged();
}

Status Delivery::for_each_code(const TakeCodes& take) {
  for (const File& file : files_) {
    if (file.request) {
      FUGO_TRY(read(file, *file.request, take));
      continue;
    }
    FUGO_ASSIGN(const auto again, Request::open(file.path, opening_));
    FUGO_ASSIGN(const Sha256 text, sha256_of(as_bytes(again->text())));
    if (text != file.text)
      return fail(ErrorCode::kRefused, "the request was changed while it was read",
                  file.path.string(), "let nobody write to it, and start again");
    FUGO_TRY(read(file, *again, take));
  }
  return {};
}

}  // namespace fugo::daemon
