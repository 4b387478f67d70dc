// Fuzz targets: tiny functions that give any bytes to one parser. The same functions are driven by
// libFuzzer (./run fuzz) and, over the kept corpora, by an ordinary test.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace fugo::fuzz {

// Target is one parser. `run` survives any input; it ends the process where a promise is broken.
struct Target {
  const char* name;
  void (*run)(ByteView input);
};

// targets is all of them; find_target is null for an unknown name.
[[nodiscard]] std::vector<Target>& targets();
[[nodiscard]] const Target* find_target(std::string_view name);

struct Registration {
  Registration(const char* name, void (*run)(ByteView)) { targets().push_back({name, run}); }
};

// must ends the process unless a promise was kept.
void must(bool kept, const char* promise);

// folder is a directory of this process, gone with it. put_file writes a file there, mode 0600, in
// a subdirectory where the name has one, and gives its path.
[[nodiscard]] const std::filesystem::path& folder();
std::filesystem::path put_file(const std::string& name, ByteView content);

// reached is called by a target that has come through its parser with an input: the replay test
// wants one such input in each corpus at least, or nothing would be known of what lies behind.
void reached();
[[nodiscard]] std::size_t times_reached();

// text_of is the input as text; as_file writes it to a file of this process, mode 0600, and gives
// its path: the same at each call.
[[nodiscard]] inline std::string text_of(ByteView input) {
  return {reinterpret_cast<const char*>(input.data()), input.size()};
}
[[nodiscard]] std::filesystem::path as_file(ByteView input, const char* suffix = "");

}  // namespace fugo::fuzz

// FUGO_FUZZ(name) { ... `input` ... } makes a target.
#define FUGO_FUZZ(name)                                                           \
  static void fuzz_##name(::fugo::ByteView input);                                \
  static const ::fugo::fuzz::Registration registered_##name(#name, &fuzz_##name); \
  static void fuzz_##name(::fugo::ByteView input)
