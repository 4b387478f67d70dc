// What linking leaves in the memory of its process: the whole of it is searched.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "tests/base/memory_search.h"
#include "tests/daemon/link/linked_site.h"

namespace fugo::test {

using engine::LinkStatus;

namespace {

constexpr std::size_t kPeople = 40;

// What a slot of a table keeps of a symbol beside an id of 16 bits, as it lies in memory: the
// number's first 48 bits, the lowest byte first.
void add_inverted_slot(const Block& symbol, Inverted& to) {
  to.emplace_back();
  for (std::size_t i = 6; i-- > 0;)
    to.back().push_back(static_cast<std::uint8_t>(~symbol.bytes[i]));
}

// The text of a PIN file, by memory of its own that is wiped.
void add_inverted_pin(const std::filesystem::path& path, Inverted& to) {
  std::array<std::uint8_t, 256> text{};
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  auto size =
      static_cast<std::size_t>(std::max<ssize_t>(::read(file, text.data(), text.size()), 0));
  ::close(file);
  while (size > 0 && text[size - 1] == '\n') --size;
  ASSERT_GE(size, 6U);
  add_inverted({text.data(), size}, to);
  wipe(text.data(), text.size());
}

class LinkingMemoryTest : public testing::Test {
 protected:
  void SetUp() override {
    site_.issue_pattern(0, kPeople);
    const auto open = site_.open_site();
    ASSERT_TRUE(open);
    auto records = SecretArray<keystore::PersonRecord>::create(kPeople);
    ASSERT_TRUE(records);
    ASSERT_TRUE((*open->ledger().snapshot())->read_people_range(1, 0, records->span()));
    for (std::size_t i = 0; i < kPeople; ++i)
      add_inverted((*records)[i].linkage_symbol.bytes, linkage_);
  }
  void use(engine::Linking& linking) {
    std::vector<Asked> asked;
    for (const auto& from : kLinkAgencies)
      for (const auto& to : kLinkAgencies)
        for (std::size_t i = 0; i < kPeople; ++i)
          if (site_.has(from, i)) asked.push_back({from, to, site_.symbol(from, i)});
    link_all(linking, asked);
    for (std::size_t i = 0; i < asked.size(); i += 5)
      EXPECT_NE(link_one(linking, {asked[i].from, asked[i].to, asked[i].symbol}).status,
                LinkStatus::kUnavailable);
  }

  // What tables hold of the symbols of agencies whose symbols are one-way.
  [[nodiscard]] Inverted slots() const {
    Inverted slots;
    for (const auto& agency : kLinkAgencies)
      for (std::size_t i = 0; i < kPeople; ++i)
        if (agency != "141003" && site_.has(agency, i))
          add_inverted_slot(site_.symbol(agency, i), slots);
    return slots;
  }

  LinkedSite site_;
  Inverted linkage_;
};

TEST_F(LinkingMemoryTest, TheSearchFindsWhatIsThere) {
  auto secret = SecretBuffer::create(64);
  ASSERT_TRUE(secret);
  std::vector<std::uint8_t> open(64);
  for (std::size_t i = 0; i < 16; ++i) {
    secret->data()[i + 3] = static_cast<std::uint8_t>(~linkage_[7][i]);
    open[i + 5] = static_cast<std::uint8_t>(~linkage_[8][i]);
  }
  const auto places = search(linkage_);
  EXPECT_EQ(places.locked, 1U);
  EXPECT_EQ(places.open, 1U);
}

TEST_F(LinkingMemoryTest, LinkageSymbolsLieInLockedMemoryOnlyAndNowhereAfterwards) {
  {
    const auto linking = site_.open();
    ASSERT_TRUE(linking->prepare({}));
    use(*linking);
    const auto places = search(linkage_);
    EXPECT_EQ(places.open, 0U) << places.where;
    use(*linking);
  }
  const auto places = search(linkage_);
  EXPECT_EQ(places.open, 0U) << places.where;
  EXPECT_EQ(places.locked, 0U);
}

TEST_F(LinkingMemoryTest, NothingOfTheTablesIsLeftAfterwards) {
  const auto wanted = slots();
  ASSERT_GT(wanted.size(), kPeople);
  {
    const auto linking = site_.open();
    ASSERT_TRUE(linking->prepare({}));
    use(*linking);
    EXPECT_GE(search(wanted).open, wanted.size())
        << "the search does not know what slots look like";
  }
  const auto places = search(wanted);
  EXPECT_EQ(places.open, 0U) << places.where;
  EXPECT_EQ(places.locked, 0U);
}

TEST_F(LinkingMemoryTest, ThePinIsNowhereOnceTheTokenIsOpen) {
  Inverted pin;
  add_inverted_pin(site_.site().directory() / "tokens" / "linking" / "pin", pin);
  ASSERT_EQ(pin.size(), 1U);
  {
    auto secret = SecretBuffer::create(64);
    ASSERT_TRUE(secret);
    for (std::size_t i = 0; i < pin[0].size(); ++i)
      secret->data()[i] = static_cast<std::uint8_t>(~pin[0][i]);
    EXPECT_EQ(search(pin).locked, 1U);
  }
  {
    const auto linking = site_.open();
    use(*linking);
    const auto places = search(pin);
    EXPECT_EQ(places.open, 0U) << places.where;
    EXPECT_EQ(places.locked, 0U);  // read anew for each login
  }
  hsm::finalize_all();
  const auto places = search(pin);
  EXPECT_EQ(places.open, 0U) << places.where;
  EXPECT_EQ(places.locked, 0U);
}

}  // namespace
}  // namespace fugo::test
