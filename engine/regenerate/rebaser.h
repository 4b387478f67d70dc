// Rebaser: linkage symbols made afresh from resident codes, in place of chains.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "engine/issue/code_look.h"
#include "engine/site.h"

namespace fugo::engine {

// Rebaser takes a delivery of resident codes and keeps, for the people whose ids are in a range,
// the linkage symbol and check value that the new generation's key makes of their code. Memory: 24
// bytes an id of the range; a delivery is read once for each range. Not thread-safe; spreads its
// work over the machine's cores.
class Rebaser {
 public:
  // The range is ids [first, first + count); `most_codes` is the most given to take() at once.
  [[nodiscard]] static Result<std::unique_ptr<Rebaser>> create(Site& site,
                                                               const keystore::GenerationRow& to,
                                                               keystore::PersonId first,
                                                               std::size_t count,
                                                               std::size_t most_codes);

  // take looks the codes up and keeps what is made of those whose people are in the range. Codes
  // that nobody has are counted; nobody becomes a person by them.
  [[nodiscard]] Status take(std::span<const std::uint64_t> codes);

  // find is false when the person did not appear: they keep their chain.
  [[nodiscard]] bool find(keystore::PersonId id, Block& symbol, keystore::CheckValue& check) const;

  [[nodiscard]] keystore::PersonId end() const {
    return first_ + static_cast<keystore::PersonId>(found_.size());
  }
  [[nodiscard]] std::uint64_t unknown_codes() const { return unknown_; }

 private:
  Rebaser(Site& site, const keystore::GenerationRow& to, keystore::PersonId first)
      : site_(site), to_(to), first_(first) {}

  Site& site_;
  const keystore::GenerationRow to_;
  const keystore::PersonId first_;
  std::unique_ptr<CodeLook> look_;
  SecretArray<Block> made_;  // of the codes given to take()
  SecretArray<keystore::CheckValue> checked_;
  SecretArray<Block> symbols_;  // by id, from first_ on
  SecretArray<keystore::CheckValue> checks_;
  std::vector<std::uint8_t> found_;
  std::uint64_t unknown_ = 0;
};

}  // namespace fugo::engine
