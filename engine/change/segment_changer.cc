#include "engine/change/segment_changer.h"

#include <unordered_set>

namespace fugo::engine {
namespace {

class Changer final : public SegmentChanger {
 public:
  Result<ChangeOutcome> change(const ChangeRows&, keystore::SegmentRow,
                               keystore::JobRow&) override {
    return not_yet();
  }
  Result<ChangeOutcome> answer(const ChangeRows&, const keystore::SegmentRow&) override {
    return not_yet();
  }
  Result<std::vector<ChangeResult>> look(const ChangeRows&, bool) override { return not_yet(); }

 private:
  static tl::unexpected<Error> not_yet() {
    return fail(ErrorCode::kRefused, "changes are not built in yet");
  }
};

}  // namespace

Result<std::unique_ptr<SegmentChanger>> SegmentChanger::create(Site&, std::size_t) {
  return std::make_unique<Changer>();
}

std::size_t SegmentChanger::independent_rows(const ChangeRows& rows) {
  std::unordered_set<std::uint64_t> seen;
  for (std::size_t row = 0; row < rows.old_codes.size(); ++row) {
    const std::uint64_t old_code = rows.old_codes[row], new_code = rows.new_codes[row];
    if (seen.contains(old_code) || seen.contains(new_code)) return row;
    seen.insert(old_code);
    seen.insert(new_code);
  }
  return rows.old_codes.size();
}

}  // namespace fugo::engine
