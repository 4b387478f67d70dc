#include "engine/change/eraser.h"

namespace fugo::engine {
namespace {

class LedgerEraser final : public Eraser {
 public:
  Result<EraseOutcome> find(std::span<const std::uint64_t>) override { return not_yet(); }
  Status commit(keystore::JobRow&, const keystore::Actor&) override { return not_yet(); }

 private:
  static tl::unexpected<Error> not_yet() {
    return fail(ErrorCode::kRefused, "deletion is not built in yet");
  }
};

}  // namespace

Result<std::unique_ptr<Eraser>> Eraser::create(Site&, std::size_t) {
  return std::make_unique<LedgerEraser>();
}

}  // namespace fugo::engine
