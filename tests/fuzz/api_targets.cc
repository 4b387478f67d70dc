// The C interface: any configuration and options for opening, and any calls on a handle that a real
// site has opened.
#include <fugo/fugo.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/text.h"
#include "tests/api/linked_site.h"
#include "tests/fuzz/cursor.h"
#include "tests/fuzz/target.h"

using namespace fugo;
using namespace fugo::fuzz;

namespace {

constexpr std::size_t kMostItems = 6;
constexpr std::size_t kMostCalls = 8;

const test::LinkedSite& site() {
  static const auto* const made = new test::LinkedSite;
  return *made;
}

bool is_status(fugo_status status) { return fugo_status_name(status)[0] != '\0'; }

void check(const fugo_symbol& symbol, fugo_status status) {
  const std::string text(symbol.text, ::strnlen(symbol.text, sizeof symbol.text));
  must(status == FUGO_OK ? decode_symbol(text).has_value() : text.empty(),
       "a symbol where the item is ok, and nowhere else");
}

void check(const fugo_error& error, fugo_status status) {
  must(std::memchr(error.message, 0, sizeof error.message) != nullptr, "a message ends");
  must(error.status == status, "the status is the same in both places");
  must(status == FUGO_OK || error.message[0] != '\0', "an error says what");
}

// Calls makes calls of what an input says: arrays of any items, absent ones, and any length there.
class Calls {
 public:
  explicit Calls(fugo_linkage* handle, Cursor cursor) : open_(handle), cursor_(cursor) {
    for (const char* code : {"131016", "141003", "472018"})
      must(fugo_find_agency(handle, code, &known_[agencies_++]) == FUGO_OK, "the agency is there");
  }

  void run() {
    for (std::size_t i = 0; i < kMostCalls && !cursor_.at_end(); ++i) one();
  }

 private:
  static constexpr std::uint8_t kNoHandle = 0xEF, kNoArray = 0xFF;

  void one() {
    const auto which = cursor_.byte();
    absent_ = cursor_.byte();
    handle_ = absent_ == kNoHandle ? nullptr : open_;
    items_ = n_ = which / 8 % (kMostItems + 1);
    // Where no array is there at all, it may be said to have any length.
    if (absent_ == kNoArray) n_ = ~std::size_t{0} - which;
    switch (which % 8) {
      case 0:
        return find();
      case 1:
        return resolve();
      case 2:
        return ask();
      case 3:
        return symbols();
      case 4:
        return records();
      case 5:
        return link();
      case 6:
        return prepare();
      default:
        return health();
    }
  }

  // has tells whether argument `i` of this call is there.
  [[nodiscard]] bool has(unsigned i) const { return (absent_ >> i & 1U) == 0; }
  template <typename Array>
  auto* given(unsigned i, Array& array) const {
    return has(i) ? array.data() : nullptr;
  }

  std::array<fugo_agency, kMostItems> agencies() {
    std::array<fugo_agency, kMostItems> all{};
    for (std::size_t i = 0; i < items_; ++i) {
      const auto choice = cursor_.byte();
      all.at(i) = choice < 0xE0 ? known_.at(choice % agencies_)
                                : static_cast<fugo_agency>(cursor_.number(choice % 5));
    }
    return all;
  }

  // texts are symbols that were issued, changed ones, and anything else.
  std::array<const char*, kMostItems> texts() {
    std::array<const char*, kMostItems> all{};
    texts_.assign(kMostItems, {});
    for (std::size_t i = 0; i < items_; ++i) {
      const auto choice = cursor_.byte();
      if (choice == 0xFF) continue;
      if (choice >= 0x80) {
        texts_[i] = cursor_.text(choice % 40);
      } else {
        constexpr std::pair<const char*, int> kIssued[] = {
            {"131016", 1}, {"131016", 2}, {"141003", 1}, {"141003", 2}, {"472018", 1}};
        const auto& [agency, person] = kIssued[choice % 5];
        texts_[i] = site().symbol(agency, person);
        if ((choice & 0x40U) != 0)
          texts_[i][cursor_.byte() % texts_[i].size()] = static_cast<char>(cursor_.byte());
      }
      all.at(i) = texts_[i].c_str();
    }
    return all;
  }

  std::array<fugo_person, kMostItems> people() {
    auto all = people_;
    for (std::size_t i = 0; i < items_; ++i)
      if (cursor_.byte() >= 0xC0) {
        const auto bytes = cursor_.take(sizeof(fugo_person));
        if (!bytes.empty()) std::memcpy(&all.at(i), bytes.data(), bytes.size());
      }
    return all;
  }

  // judge looks at what a call gave: `needed` are the arguments that it cannot do without.
  bool judge(fugo_status status, std::initializer_list<unsigned> needed) {
    must(is_status(status), "a status is one");
    const bool whole = std::all_of(needed.begin(), needed.end(), [&](auto i) { return has(i); });
    if (handle_ == nullptr || (!whole && n_ != 0))
      must(status == FUGO_BAD_CALL, "what is absent is told");
    if (status >= FUGO_BAD_CALL) return false;
    for (std::size_t i = 0; has(7) && i < n_; ++i) must(is_status(statuses_.at(i)), "and of items");
    return has(7);
  }

  void find() {
    const auto code = cursor_.text(4 * items_);
    fugo_agency agency = 99;
    const auto status =
        fugo_find_agency(handle_, has(0) ? code.c_str() : nullptr, has(1) ? &agency : nullptr);
    must(is_status(status), "a status is one");
    if (has(1)) must(status == FUGO_OK || agency == 0, "no agency where there is none");
  }

  void resolve() {
    auto agency = agencies();
    auto text = texts();
    const auto status =
        fugo_resolve_versions(handle_, n_, given(0, agency), given(1, text), given(2, people_),
                              given(3, versions_), given(7, statuses_));
    (void)judge(status, {0, 1, 2});
  }

  void ask() {
    auto person = people();
    auto agency = agencies();
    (void)judge(
        fugo_is_issued(handle_, n_, given(0, person), given(1, agency), given(7, statuses_)),
        {0, 1});
  }

  void symbols() {
    auto person = people();
    auto agency = agencies();
    const auto status = fugo_symbol_for(handle_, n_, given(0, person), given(1, agency),
                                        given(2, symbols_), given(7, statuses_));
    if (judge(status, {0, 1, 2}))
      for (std::size_t i = 0; i < n_; ++i) check(symbols_.at(i), statuses_.at(i));
  }

  void records() {
    auto person = people();
    const auto status =
        fugo_record_symbol(handle_, n_, given(0, person), given(1, symbols_), given(7, statuses_));
    if (judge(status, {0, 1}))
      for (std::size_t i = 0; i < n_; ++i) check(symbols_.at(i), statuses_.at(i));
  }

  void link() {
    auto from = agencies(), to = agencies();
    auto text = texts();
    const auto status = fugo_link_versions(handle_, n_, given(0, from), given(1, to),
                                           given(2, text), given(3, symbols_), given(4, records_),
                                           given(5, versions_), given(7, statuses_));
    if (judge(status, {0, 1, 2, 3}))
      for (std::size_t i = 0; i < n_; ++i) check(symbols_.at(i), statuses_.at(i));
  }

  void prepare() {
    auto agency = agencies();
    fugo_error error = FUGO_ERROR_INIT;
    const auto status = fugo_prepare(handle_, n_, given(0, agency), has(1) ? &error : nullptr);
    must(is_status(status), "a status is one");
    if (has(1) && status != FUGO_BAD_CALL) check(error, status);
  }

  // A report of any size that a caller may say, with room behind it that must stay as it was.
  void health() {
    struct {
      fugo_health_report report = FUGO_HEALTH_INIT;
      std::array<std::uint8_t, 256> behind{};
    } room;
    room.report.size = static_cast<std::uint32_t>(cursor_.number(2) % sizeof room);
    const auto said = room.report.size;
    const auto status = fugo_health(handle_, has(0) ? &room.report : nullptr);
    must(is_status(status), "a status is one");
    must(room.report.size == said, "the size is the caller's");
    must(room.behind == std::array<std::uint8_t, 256>{}, "nothing behind a report is written");
  }

  fugo_linkage* const open_;
  Cursor cursor_;
  std::array<fugo_agency, 3> known_{};
  std::size_t agencies_ = 0;
  std::array<fugo_person, kMostItems> people_{};  // of the last call that resolved
  std::array<fugo_symbol, kMostItems> symbols_{}, records_{};
  std::array<std::uint32_t, kMostItems> versions_{};
  std::array<fugo_status, kMostItems> statuses_{};
  std::vector<std::string> texts_;
  // Of this call.
  fugo_linkage* handle_ = nullptr;
  std::uint8_t absent_ = 0;
  std::size_t n_ = 0, items_ = 0;
};

}  // namespace

FUGO_FUZZ(c_calls) {
  static fugo_linkage* const handle = [] {
    fugo_linkage* opened = nullptr;
    must(fugo_open(site().config().c_str(), nullptr, &opened, nullptr) == FUGO_OK, "it opens");
    return opened;
  }();
  Calls(handle, Cursor(input)).run();
  reached();
}

// Any options; then any path, or any configuration. A configuration that names a site is another
// target's.
FUGO_FUZZ(c_open) {
  Cursor cursor(input);
  const auto absent = cursor.byte();
  struct {
    fugo_options options;
    std::array<std::uint8_t, 16> behind;
  } room{{static_cast<std::uint32_t>(cursor.number(1) % 33),
          static_cast<std::uint32_t>(cursor.number(1)), cursor.number(8)},
         {}};
  const auto behind = cursor.take(room.behind.size());
  std::copy(behind.begin(), behind.end(), room.behind.begin());
  const std::string text = text_of(cursor.rest());
  const std::string path =
      (absent & 8U) != 0 ? text : put_file("fugo-open.toml", as_bytes(text)).string();
  fugo_error error = FUGO_ERROR_INIT;
  fugo_linkage* handle = nullptr;
  const auto status =
      fugo_open(path.c_str(), (absent & 1U) != 0 ? nullptr : &room.options,
                (absent & 2U) != 0 ? nullptr : &handle, (absent & 4U) != 0 ? nullptr : &error);
  must(status != FUGO_OK && is_status(status), "nothing of that opens");
  must(handle == nullptr, "no handle where there is none");
  reached();
  if ((absent & 6U) == 0 && status != FUGO_BAD_CALL) check(error, status);
}
