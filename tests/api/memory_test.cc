// What is left of secrets in the memory of a process that opened a ledger by libfugo and closed it.
#include <fugo/fugo.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "base/secret.h"
#include "base/text.h"
#include "daemon/site_access.h"
#include "keystore/bulk_format.h"
#include "tests/api/linked_site.h"
#include "tests/base/memory_search.h"

namespace fugo::test {
namespace {

// Wanted is what is searched for, by kind.
struct Wanted {
  Inverted data_key, derived_keys, file_keys, record_symbols, agency_symbols;
};

// A child opens the ledger by itself, and gives its keys and record symbols away inverted: this
// process never has them.
class Secrets {
 public:
  explicit Secrets(int to) : to_(to) {}
  void give(char kind, ByteView bytes) const {
    std::array<std::uint8_t, 66> packet{};
    packet[0] = static_cast<std::uint8_t>(kind);
    packet[1] = static_cast<std::uint8_t>(bytes.size());
    for (std::size_t i = 0; i < bytes.size(); ++i)
      packet[i + 2] = static_cast<std::uint8_t>(~bytes[i]);
    if (::write(to_, packet.data(), packet.size()) != static_cast<ssize_t>(packet.size()))
      ::_exit(9);
  }

 private:
  int to_;
};

int give_secrets(const LinkedSite& site, const Secrets& to) {
  const auto settings = daemon::load_settings(site.site().config());
  if (!settings) return 1;
  const auto open = daemon::open_site(*settings, hsm::TokenRole::kLinking, keystore::Access::kRead);
  if (!open) return 2;
  engine::Site& linked = **open;
  const auto& header = linked.ledger().header();
  const auto wrap_key = linked.token().find_key(
      {hsm::KeyPurpose::kDataWrap, hsm::KeyAlgorithm::kAes256, header.wrap_key_version},
      std::nullopt);
  if (!wrap_key) return 3;
  const auto data_key = linked.token().unwrap_data_key(*wrap_key, header.wrapped_data_key);
  if (!data_key) return 4;
  to.give('d', data_key->bytes());
  const auto keys = linked.ledger().keys();
  to.give('k', keys->seal().bytes());
  for (const auto* key : {&keys->index(), &keys->digest(), &keys->request(), &keys->spill()})
    to.give('k', key->bytes());
  const auto snapshot = linked.ledger().snapshot();
  if (!snapshot) return 5;
  const keystore::BulkPlace place{settings->ledger_directory / "data", header.ledger_id};
  std::size_t people = 0;
  for (const auto& row : (*snapshot)->files()) {
    to.give('f', row.key.bytes());
    SecretBytes<32> block_key;
    if (!keystore::derive_block_key(place, row, block_key)) return 6;
    to.give('f', block_key.bytes());
    if (row.kind == keystore::FileKind::kPerson) people += row.entries;
  }
  auto records = SecretArray<keystore::PersonRecord>::create(people);
  auto linkage = SecretArray<Block>::create(people), made = SecretArray<Block>::create(people);
  if (!records || !linkage || !made) return 7;
  if (!(*snapshot)->read_people_range(1, 0, records->span())) return 8;
  for (std::size_t i = 0; i < people; ++i) (*linkage)[i] = (*records)[i].linkage_symbol;
  if (!linked.symbols().record(linked.active_generation(), linkage->span(), made->span())) return 8;
  for (const Block& symbol : made->span()) to.give('r', symbol.bytes);
  return 0;
}

Wanted secrets_of(const LinkedSite& site) {
  Wanted wanted;
  int pipe[2];
  EXPECT_EQ(::pipe(pipe), 0);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(give_secrets(site, Secrets(pipe[1])));
  ::close(pipe[1]);
  std::array<std::uint8_t, 66> packet{};
  while (::read(pipe[0], packet.data(), packet.size()) == static_cast<ssize_t>(packet.size())) {
    Inverted& of_kind = packet[0] == 'd'   ? wanted.data_key
                        : packet[0] == 'k' ? wanted.derived_keys
                        : packet[0] == 'f' ? wanted.file_keys
                                           : wanted.record_symbols;
    of_kind.emplace_back(packet.begin() + 2, packet.begin() + 2 + packet[1]);
  }
  ::close(pipe[0]);
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  for (const char* agency : {"131016", "141003"})
    for (const int person : {1, 2}) {
      auto symbol = decode_symbol(site.symbol(agency, person));
      if (symbol) add_inverted(symbol->bytes, wanted.agency_symbols);
      if (symbol) wipe(&*symbol, sizeof *symbol);
    }
  return wanted;
}

class Memory : public testing::Test {
 protected:
  // Every call, for few items and for many, of both kinds of agencies.
  void use(fugo_linkage* handle) const {
    for (const std::size_t count : {std::size_t{2}, std::size_t{6}, std::size_t{5000}}) {
      std::vector<fugo_agency> from(count), to(count);
      std::vector<const char*> texts(count);
      std::vector<fugo_symbol> linked(count), records(count);
      std::vector<fugo_person> people(count);
      std::vector<fugo_status> statuses(count);
      for (std::size_t i = 0; i < count; ++i) {
        const char* const code = i % 4 < 2 ? "131016" : "141003";
        fugo_find_agency(handle, code, &from[i]);
        fugo_find_agency(handle, "131016", &to[i]);
        texts[i] = site_.symbol(code, static_cast<int>(i % 2) + 1).c_str();
      }
      EXPECT_EQ(fugo_link(handle, count, from.data(), to.data(), texts.data(), linked.data(),
                          records.data(), statuses.data()),
                FUGO_OK);
      EXPECT_EQ(
          fugo_resolve(handle, count, from.data(), texts.data(), people.data(), statuses.data()),
          FUGO_OK);
      EXPECT_EQ(
          fugo_symbol_for(handle, count, people.data(), to.data(), linked.data(), statuses.data()),
          FUGO_OK);
      EXPECT_EQ(fugo_record_symbol(handle, count, people.data(), records.data(), statuses.data()),
                FUGO_OK);
    }
  }
  LinkedSite site_;
};

TEST_F(Memory, NoKeyAndNoSymbolIsLeftOfAHandleThatWasClosed) {
  const Wanted wanted = secrets_of(site_);
  ASSERT_EQ(wanted.data_key.size(), 1U);
  ASSERT_EQ(wanted.derived_keys.size(), 5U);
  ASSERT_GE(wanted.file_keys.size(), 6U);
  ASSERT_EQ(wanted.record_symbols.size(), 2U);
  ASSERT_EQ(wanted.agency_symbols.size(), 4U);
  fugo_linkage* handle = nullptr;
  fugo_error error = FUGO_ERROR_INIT;
  ASSERT_EQ(fugo_open(site_.config().c_str(), nullptr, &handle, &error), FUGO_OK) << error.message;
  use(handle);
  // They are there while it is open: the search knows what they look like.
  for (const Inverted* kind : {&wanted.derived_keys, &wanted.file_keys}) {
    const auto places = search(*kind);
    EXPECT_GT(places.locked + places.open, 0U);
  }
  fugo_close(handle);
  const std::pair<const char*, const Inverted*> kinds[] = {
      {"the data key", &wanted.data_key},
      {"a derived key", &wanted.derived_keys},
      {"a file's key", &wanted.file_keys},
      {"a record symbol", &wanted.record_symbols},
      {"an agency symbol", &wanted.agency_symbols}};
  for (const auto& [name, kind] : kinds) {
    const auto places = search(*kind);
    EXPECT_EQ(places.open, 0U) << name << " is left at" << places.where;
    EXPECT_EQ(places.locked, 0U) << name;
  }
}

}  // namespace
}  // namespace fugo::test
