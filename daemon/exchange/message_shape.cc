#include "daemon/exchange/message_shape.h"

#include <openssl/asn1.h>
#include <openssl/objects.h>

#include "base/owned.h"

namespace fugo::daemon {
namespace {

constexpr std::uint8_t kSequence = 0x30, kContent = 0x80, kConstructed = 0x20;

// Element is the head of one: where what is in it begins, and how long that is.
struct Element {
  std::uint8_t tag = 0;
  bool indefinite = false;
  std::size_t begin = 0, size = 0;
};

// Walk is a place in the bytes; nothing is followed beyond them.
class Walk {
 public:
  explicit Walk(ByteView bytes) : bytes_(bytes) {}

  [[nodiscard]] std::size_t at() const { return at_; }

  // head reads the head of the element here, and stays.
  [[nodiscard]] std::optional<Element> head() const {
    if (left(at_) < 2) return std::nullopt;
    Element element;
    element.tag = bytes_[at_];
    if ((element.tag & 0x1FU) == 0x1FU) return std::nullopt;  // CMS has no tag above 30
    const std::uint8_t first = bytes_[at_ + 1];
    element.begin = at_ + 2;
    if (first < 0x80) {
      element.size = first;
    } else if (first == 0x80) {
      element.indefinite = true;
      if ((element.tag & kConstructed) == 0) return std::nullopt;
    } else {
      const std::size_t digits = first & 0x7FU;
      if (digits > sizeof(std::size_t) || left(element.begin) < digits) return std::nullopt;
      for (std::size_t i = 0; i < digits; ++i)
        element.size = (element.size << 8U) | bytes_[element.begin + i];
      element.begin += digits;
    }
    if (element.size > left(element.begin)) return std::nullopt;
    return element;
  }

  // enter goes to what is in the element here, which must have the tag.
  [[nodiscard]] bool enter(std::uint8_t tag) {
    const auto element = head();
    if (!element || element->tag != tag) return false;
    at_ = element->begin;
    return true;
  }

  // skip goes behind the element here; of an indefinite length with all that is in it.
  [[nodiscard]] bool skip() {
    std::size_t open = 0;
    do {
      const auto element = head();
      if (!element) return false;
      const bool end = element->tag == 0 && element->size == 0;
      if (end && open == 0) return false;
      at_ = element->begin + element->size;
      if (end) --open;
      if (element->indefinite) ++open;
    } while (open > 0);
    return true;
  }

 private:
  [[nodiscard]] std::size_t left(std::size_t from) const { return bytes_.size() - from; }
  ByteView bytes_;
  std::size_t at_ = 0;
};

int type_at(ByteView bytes) {
  const unsigned char* at = bytes.data();
  const Owned<ASN1_OBJECT, ASN1_OBJECT_free> object(
      d2i_ASN1_OBJECT(nullptr, &at, static_cast<long>(bytes.size())));
  return object ? OBJ_obj2nid(object.get()) : NID_undef;
}

}  // namespace

std::optional<MessageShape> shape_of(ByteView message) {
  Walk walk(message);
  if (!walk.enter(kSequence)) return std::nullopt;
  const std::size_t type = walk.at();
  if (!walk.skip()) return std::nullopt;
  MessageShape shape;
  shape.type = type_at(message.subspan(type, walk.at() - type));
  shape.beside = message.size();
  if (!walk.enter(kContent | kConstructed) || !walk.enter(kSequence)) return std::nullopt;
  // The first sequence among version, originator, recipients or digests has the content in it.
  for (auto element = walk.head(); element && element->tag != kSequence; element = walk.head())
    if (element->tag == 0 || !walk.skip()) return std::nullopt;
  const auto holder = walk.head();
  if (!walk.enter(kSequence)) return std::nullopt;
  // Behind its type and its algorithm, if it has one, and nowhere else.
  const std::size_t end = holder->indefinite ? message.size() : holder->begin + holder->size;
  for (auto element = walk.head(); element && walk.at() < end; element = walk.head()) {
    const std::size_t begin = walk.at();
    if (element->tag == 0) break;
    if (!walk.skip()) return std::nullopt;
    if ((element->tag & ~kConstructed) != kContent) continue;
    shape.beside -= walk.at() - begin;
    break;
  }
  return shape;
}

}  // namespace fugo::daemon
