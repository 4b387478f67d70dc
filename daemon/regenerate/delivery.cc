#include "daemon/regenerate/delivery.h"

#include <utility>

#include "base/text.h"

namespace fugo::daemon {
namespace {

Result<Sha256> sha256_of(std::string_view text) {
  FUGO_ASSIGN(auto stream, Sha256Stream::create());
  FUGO_TRY(stream.update(as_bytes(text)));
  return stream.finish();
}

}  // namespace

Result<std::unique_ptr<Delivery>> Delivery::open(engine::Site& site,
                                                 const std::vector<std::filesystem::path>& files,
                                                 bool check_digits, const ExchangeRules& exchange,
                                                 const std::filesystem::path& temporary_directory) {
  std::unique_ptr<Delivery> delivery(new Delivery());
  delivery->opening_ = {exchange, &site.token(), &site.ledger()};
  FUGO_ASSIGN(delivery->agencies_, AgencyTable::create(site.agencies()));
  delivery->rules_.agencies = &delivery->agencies_;
  delivery->rules_.check_digits = check_digits;
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
  options.spill_key = &keys->spill();
  options.temporary_directory = temporary_directory;
  FUGO_ASSIGN(file.survey, file.request->survey(options));
  rejected_ += file.survey.rejects.size();
  if (!file.request->sender().name.empty()) {
    FUGO_ASSIGN(const Sha256 sealed, hash_file(path));
    FUGO_TRY(file.request->check_unchanged());
    sealed_.push_back({file.request->sender(), sealed});
    FUGO_ASSIGN(file.text, sha256_of(file.request->text()));
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
    FUGO_ASSIGN(const Sha256 text, sha256_of(again->text()));
    if (text != file.text)
      return fail(ErrorCode::kRefused, "the request was changed while it was read",
                  file.path.string(), "let nobody write to it, and start again");
    FUGO_TRY(read(file, *again, take));
  }
  return {};
}

}  // namespace fugo::daemon
