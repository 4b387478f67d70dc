// Secrets in every encoding that a careless program could leave them in, and the search for them.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::test {

// Needle is a secret in one encoding.
struct Needle {
  std::string what, bytes;
};

// add_code and add_symbol add all encodings of a resident code and of a symbol.
void add_code(const std::string& code, std::vector<Needle>& needles);
void add_symbol(const Block& symbol, std::vector<Needle>& needles);

// Symbols are the secret ones of some people, and what an agency is given for them.
struct Symbols {
  std::vector<Block> linkage, agency;
};
[[nodiscard]] Symbols symbols_of(const TestSite& site, const std::vector<std::uint64_t>& codes,
                                 const std::string& agency);

// find_in gives the names of the needles that are somewhere in `hay`, each once.
[[nodiscard]] std::vector<std::string> find_in(ByteView hay, const std::vector<Needle>& needles);

// find_needles looks at every file below a directory but `except`.
[[nodiscard]] std::vector<std::string> find_needles(const std::filesystem::path& directory,
                                                    const std::filesystem::path& except,
                                                    const std::vector<Needle>& needles);

// kill_until_done gives a command again and again, killed at a later step each time, until it comes
// to its end; `look` is called after each kill. Returns how often it was killed. Every write is a
// step but those of the tokens' files.
int kill_until_done(const std::vector<std::string>& command, const TestSite& site,
                    const std::function<void()>& look);

// expect_findable shows that the search finds each needle in a haystack.
void expect_findable(const std::vector<Needle>& needles);

}  // namespace fugo::test
