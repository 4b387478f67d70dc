#include "daemon/regenerate/delivery.h"

#include <utility>

namespace fugo::daemon {

Result<std::unique_ptr<Delivery>> Delivery::open(engine::Site& site,
                                                 const std::vector<std::filesystem::path>& files,
                                                 bool check_digits,
                                                 const std::filesystem::path& temporary_directory) {
  std::unique_ptr<Delivery> delivery(new Delivery());
  FUGO_ASSIGN(delivery->agencies_, AgencyTable::create(site.agencies()));
  delivery->rules_.agencies = &delivery->agencies_;
  delivery->rules_.check_digits = check_digits;
  const auto keys = site.ledger().keys();
  for (const auto& path : files) {
    File file;
    FUGO_ASSIGN(file.request, Request::open(path));
    if (file.request->head().kind != keystore::JobKind::kIssue)
      return fail(ErrorCode::kRefused, "is not of kind issue", path.string() + ":1",
                  "a delivery of resident codes has the form of an issue request");
    SurveyOptions options;
    options.rules = delivery->rules_;
    options.environment = site.ledger().header().environment;
    options.spill_key = &keys->spill();
    options.temporary_directory = temporary_directory;
    FUGO_ASSIGN(file.survey, file.request->survey(options));
    delivery->rejected_ += file.survey.rejects.size();
    delivery->files_.push_back(std::move(file));
  }
  return delivery;
}

Status Delivery::for_each_code(const TakeCodes& take) {
  Segment segment;
  for (File& file : files_) {
    for (std::uint64_t row = 0; row < file.survey.rows; row += kRowsAtOnce) {
      FUGO_TRY(file.request->read(file.survey, rules_, row, kRowsAtOnce, segment));
      FUGO_TRY(take(segment.resident_codes()));
    }
    FUGO_TRY(file.request->check_unchanged());
  }
  return {};
}

}  // namespace fugo::daemon
