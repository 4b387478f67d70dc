// The worked example of docs/spec/symbols.md: its script is run as it stands in the document, and
// what it prints is compared with the document's list and with the library's own results.
#include <gtest/gtest.h>
#include <stdio.h>

#include <fstream>
#include <map>
#include <sstream>

#include "base/text.h"
#include "engine/symbols.h"
#include "oracles.h"
#include "scratch_token.h"
#include "tests/hsm/token_fixture.h"

namespace fugo::engine {
namespace {

using fugo::testing::block_from_hex;
using fugo::testing::Bytes;
using fugo::testing::from_hex;
using fugo::testing::ScratchToken;
using hsm::KeyAlgorithm;
using hsm::KeyPurpose;

std::string document() {
  std::ifstream file(FUGO_SPEC);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// block_of gives the text of the one code block of a language; the document has one of each.
std::string block_of(const std::string& text, const std::string& language) {
  const std::string fence = "\n```" + language + "\n";
  const auto begin = text.find(fence);
  const auto end = text.find("\n```\n", begin + 1);
  if (begin == std::string::npos || end == std::string::npos) return {};
  EXPECT_EQ(text.find(fence, end), std::string::npos) << "a second block of " << language;
  return text.substr(begin + fence.size(), end + 1 - begin - fence.size());
}

// run gives what bash prints when it is given the script on its standard input.
std::string run(const std::string& script) {
  const std::string file = ::testing::TempDir() + "fugo-spec-example.sh";
  std::ofstream(file) << script;
  FILE* const pipe = ::popen(("bash " + file + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return {};
  std::string out;
  for (int c = 0; (c = ::fgetc(pipe)) != EOF;) out.push_back(static_cast<char>(c));
  EXPECT_EQ(::pclose(pipe), 0) << out;
  ::remove(file.c_str());
  return out;
}

// words splits lines into their first word and the rest.
std::map<std::string, std::string> words(const std::string& lines, char separator) {
  std::map<std::string, std::string> found;
  std::istringstream stream(lines);
  for (std::string line; std::getline(stream, line);)
    if (const auto at = line.find(separator); at != std::string::npos)
      found[line.substr(0, at)] = line.substr(at + 1);
  return found;
}

class SpecExample : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string script = block_of(document(), "bash");
    ASSERT_FALSE(script.empty());
    printed_ = words(block_of(document(), "text"), ' ');
    given_ = words(script, '=');
    agencies_.resize(3);
    const std::uint8_t methods[] = {1, 2, 3};
    for (std::size_t i = 0; i < agencies_.size(); ++i) {
      agencies_[i].number = static_cast<keystore::AgencyNumber>(i + 1);
      agencies_[i].versions = {{1, methods[i], 1, block_from_hex(given("parameter"))}};
    }
  }

  std::string given(const std::string& name) const { return given_.at(name); }
  std::string printed(const std::string& name) const { return printed_.at(name); }
  std::vector<fugo::testing::ImportedKey> keys() const {
    const auto aes = KeyAlgorithm::kAes256;
    const auto hmac = KeyAlgorithm::kHmacSha256;
    return {{{KeyPurpose::kLinkage, aes, 1}, from_hex(given("link"))},
            {{KeyPurpose::kLinkage, aes, 2}, from_hex(given("link2"))},
            {{KeyPurpose::kLinkage, hmac, 1}, from_hex(given("link_hmac"))},
            {{KeyPurpose::kAgency, aes, 1}, from_hex(given("agency"))},
            {{KeyPurpose::kAgency, hmac, 1}, from_hex(given("agency_hmac"))},
            {{KeyPurpose::kAgencyXtsData, aes, 1}, from_hex(given("xts1"))},
            {{KeyPurpose::kAgencyXtsTweak, aes, 1}, from_hex(given("xts2"))},
            {{KeyPurpose::kRecord, aes, 1}, from_hex(given("record"))},
            {{KeyPurpose::kRecord, hmac, 1}, from_hex(given("record_hmac"))}};
  }
  // open_for opens Symbols for one agency only: the example gives all the same parameter.
  std::unique_ptr<Symbols> open_for(const ScratchToken& scratch, std::size_t agency) const {
    auto opened =
        Symbols::open(scratch.token(), scratch.rows(), {&generation_, 1}, {&agencies_[agency], 1});
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? std::move(*opened) : nullptr;
  }
  std::string agency_symbol(const ScratchToken& scratch, std::size_t agency,
                            const Block& linkage_symbol) const {
    Block symbol;
    const auto symbols = open_for(scratch, agency);
    EXPECT_TRUE(
        symbols->agency(1, {&agencies_[agency].number, 1}, {&linkage_symbol, 1}, {&symbol, 1}));
    return hex(symbol.bytes);
  }

  std::map<std::string, std::string> given_, printed_;
  std::vector<keystore::Agency> agencies_;
  keystore::GenerationRow generation_;
};

TEST_F(SpecExample, ScriptPrintsWhatTheDocumentSays) {
  EXPECT_EQ(run(block_of(document(), "bash")), block_of(document(), "text"));
}

TEST_F(SpecExample, LibraryComputesTheSameByTheDefaultMethod) {
  const ScratchToken scratch(hsm::TokenRole::kStandby, keys());
  const auto symbols = open_for(scratch, 0);
  ASSERT_TRUE(symbols);
  const std::uint64_t code = std::stoull(given("code"));
  Block linkage, with_counter, record;
  keystore::CheckValue check;
  const std::uint16_t counter = 1;
  ASSERT_TRUE(symbols->linkage_and_check(generation_, {&code, 1}, {&linkage, 1}, {&check, 1}));
  EXPECT_EQ(hex(linkage.bytes), printed("linkage_symbol"));
  EXPECT_EQ(hex(check), printed("check_value"));
  ASSERT_TRUE(symbols->linkage(generation_, {&code, 1}, {&counter, 1}, {&with_counter, 1}));
  EXPECT_EQ(hex(with_counter.bytes), printed("linkage_symbol_counter_1"));
  ASSERT_TRUE(symbols->record(generation_, {&linkage, 1}, {&record, 1}));
  EXPECT_EQ(hex(record.bytes), printed("record_symbol"));
  EXPECT_EQ(agency_symbol(scratch, 0, linkage), printed("agency_symbol"));
  EXPECT_EQ(encode_symbol(block_from_hex(printed("agency_symbol"))), printed("agency_symbol_text"));
  auto next = generation_;
  next.linkage_key = 2;
  ASSERT_TRUE(symbols->chain(next, {&linkage, 1}, {&check, 1}));
  EXPECT_EQ(hex(linkage.bytes), printed("chained_linkage_symbol"));
  EXPECT_EQ(hex(check), printed("chained_check_value"));
}

TEST_F(SpecExample, LibraryComputesTheSameByXts) {
  const ScratchToken scratch(hsm::TokenRole::kLinking, keys());
  if (!hsm::testing::abilities().blocks) {
    const auto refused =
        Symbols::open(scratch.token(), scratch.rows(), {&generation_, 1}, {&agencies_[2], 1});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
    return;
  }
  const Block linkage = block_from_hex(printed("linkage_symbol"));
  EXPECT_EQ(agency_symbol(scratch, 2, linkage), printed("agency_symbol_xts"));
  const Block symbol = block_from_hex(printed("agency_symbol_xts"));
  Block back;
  ASSERT_TRUE(open_for(scratch, 2)->invert_agency(1, 3, {&symbol, 1}, {&back, 1}));
  EXPECT_EQ(hex(back.bytes), printed("agency_symbol_xts_inverted"));
}

TEST_F(SpecExample, LibraryComputesTheSameByHmac) {
  const ScratchToken scratch(hsm::TokenRole::kIssuing, keys());
  const auto symbols = open_for(scratch, 1);
  ASSERT_TRUE(symbols);
  generation_.linkage_method = 2;
  const std::uint64_t code = std::stoull(given("code"));
  Block linkage, record;
  keystore::CheckValue check;
  ASSERT_TRUE(symbols->linkage_and_check(generation_, {&code, 1}, {&linkage, 1}, {&check, 1}));
  EXPECT_EQ(hex(linkage.bytes), printed("hmac_linkage_symbol"));
  EXPECT_EQ(hex(check), printed("hmac_check_value"));
  ASSERT_TRUE(symbols->record(generation_, {&linkage, 1}, {&record, 1}));
  EXPECT_EQ(hex(record.bytes), printed("hmac_record_symbol"));
  EXPECT_EQ(agency_symbol(scratch, 1, linkage), printed("hmac_agency_symbol"));
}

}  // namespace
}  // namespace fugo::engine
