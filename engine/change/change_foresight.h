// What would become of the rows of a change, before any of them is carried out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "engine/change/segment_changer.h"
#include "engine/issue/code_look.h"
#include "engine/site.h"

namespace fugo::engine {

// ChangeForesight tells the results of rows in the order of their file, each as if the rows before
// it had been carried out. Reads only. Not thread-safe.
class ChangeForesight {
 public:
  // `max_rows` are given at once, `all_rows` in all: it remembers every code, 16 to 32 bytes each,
  // in locked memory.
  [[nodiscard]] static Result<ChangeForesight> create(Site& site, std::size_t max_rows,
                                                      std::size_t all_rows);

  // look goes on with the next rows.
  [[nodiscard]] Result<std::vector<ChangeResult>> look(const ChangeRows& rows, bool join);

 private:
  explicit ChangeForesight(CodeLook codes) : codes_(std::move(codes)) {}
  // slot_of finds a code's slot, where it is or where it would be.
  [[nodiscard]] std::uint64_t& slot_of(std::uint64_t code);
  void learn(std::span<const std::uint64_t> codes, std::span<const CodeState> states);
  [[nodiscard]] CodeState state_of(std::uint64_t code);
  void set_state(std::uint64_t code, CodeState state);
  [[nodiscard]] ChangeResult carry_out(std::uint64_t old_code, std::uint64_t new_code, bool join);

  CodeLook codes_;
  SecretArray<std::uint64_t> slots_;  // open addressing: code * 4 + state + 1, or 0
};

}  // namespace fugo::engine
