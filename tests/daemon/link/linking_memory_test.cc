// What linking leaves in the memory of its process: the whole of it is searched.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "tests/daemon/link/linked_site.h"

namespace fugo::test {

using engine::LinkStatus;

namespace {

constexpr std::size_t kPeople = 40;

// Inverted copies, so that what is searched for is not what searches.
using Inverted = std::vector<std::vector<std::uint8_t>>;

void add_inverted(ByteView bytes, Inverted& to) {
  to.emplace_back();
  for (const std::uint8_t byte : bytes) to.back().push_back(static_cast<std::uint8_t>(~byte));
}

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

// Mapping is an entry of /proc/self/smaps.
struct Mapping {
  std::uintptr_t first = 0, last = 0;
  bool readable = false, locked = false;
  std::string name;
};

std::vector<Mapping> mappings() {
  std::vector<Mapping> all;
  std::ifstream file("/proc/self/smaps");
  for (std::string line; std::getline(file, line);) {
    Mapping one;
    std::array<char, 5> rights{};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &one.first, &one.last, rights.data()) == 3) {
      one.readable = rights[0] == 'r';
      const auto slash = line.find('/');
      if (slash != std::string::npos) one.name = line.substr(slash);
      all.push_back(one);
    } else if (line.rfind("VmFlags:", 0) == 0 && !all.empty()) {
      all.back().locked = line.find(" lo") != std::string::npos;
    }
  }
  return all;
}

constexpr std::size_t kOverlap = 63;  // of pieces of memory: nothing that is wanted is longer

// Places counts where one of them lies: in locked memory, or in other memory, which is named.
struct Places {
  std::size_t locked = 0, open = 0;
  std::string where;
};
Places search(const Inverted& wanted) {
  Places places;
  std::array<std::vector<std::size_t>, 256> by_first;
  for (std::size_t i = 0; i < wanted.size(); ++i)
    by_first[static_cast<std::uint8_t>(~wanted[i][0])].push_back(i);
  const int memory = ::open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  EXPECT_GE(memory, 0);
  std::vector<std::uint8_t> piece(1U << 20U);
  for (const Mapping& mapping : mappings()) {
    const auto own = reinterpret_cast<std::uintptr_t>(piece.data());
    if (!mapping.readable || (own >= mapping.first && own < mapping.last && mapping.name.empty() &&
                              mapping.last - mapping.first < 2 * piece.size()))
      continue;
    for (std::uintptr_t at = mapping.first; at < mapping.last;) {
      const auto got =
          ::pread(memory, piece.data(), std::min<std::size_t>(piece.size(), mapping.last - at),
                  static_cast<off_t>(at));
      if (got <= static_cast<ssize_t>(kOverlap)) break;
      const auto size = static_cast<std::size_t>(got);
      for (std::size_t i = 0; i < size; ++i)
        for (const std::size_t which : by_first[piece[i]]) {
          const std::size_t length = wanted[which].size();
          bool same = i + length <= size;
          for (std::size_t b = 0; b < length && same; ++b)
            same = piece[i + b] == static_cast<std::uint8_t>(~wanted[which][b]);
          const auto place = at + i;
          if (!same || (place >= own && place < own + piece.size())) continue;
          ++(mapping.locked ? places.locked : places.open);
          if (!mapping.locked) {
            std::ostringstream text;
            text << " " << std::hex << place << " in " << mapping.first << "-" << mapping.last
                 << " " << mapping.name;
            places.where += text.str();
          }
        }
      at += size == piece.size() ? size - kOverlap : size;
    }
  }
  ::close(memory);
  return places;
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
