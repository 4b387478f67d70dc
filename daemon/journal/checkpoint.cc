#include "daemon/journal/checkpoint.h"

#include <fmt/format.h>
#include <sodium/utils.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "base/text.h"
#include "keystore/seal.h"

namespace fugo::daemon {
namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr std::string_view kDash = "\xE2\x80\x94 ";  // em dash, space
constexpr std::size_t kIdBytes = 4;

std::string base64(ByteView bytes) {
  std::string text(sodium_base64_ENCODED_LEN(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(text.data(), text.size(), bytes.data(), bytes.size(),
                    sodium_base64_VARIANT_ORIGINAL);
  text.pop_back();  // the zero byte at its end
  return text;
}

// unbase64 gives nothing for what is not base64.
Bytes unbase64(std::string_view text) {
  if (text.empty()) return {};
  Bytes bytes(text.size());
  std::size_t size = 0;
  if (sodium_base642bin(bytes.data(), bytes.size(), text.data(), text.size(), nullptr, &size,
                        nullptr, sodium_base64_VARIANT_ORIGINAL) != 0)
    size = 0;
  bytes.resize(size);
  // libsodium reads some characters beyond ASCII as if they were of the alphabet.
  if (base64(bytes) != text) bytes.clear();
  return bytes;
}

Result<Bytes> key_id(const keystore::KeyRow& row) {
  FUGO_ASSIGN(const auto der, public_key_der(row));
  const std::array<ByteView, 1> parts{der};
  FUGO_ASSIGN(const auto hash, keystore::sha256(parts));
  return Bytes(hash.begin(), hash.begin() + kIdBytes);
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// read_body is false for what is no checkpoint.
bool read_body(const std::vector<std::string>& lines, Checkpoint& checkpoint) {
  if (lines.size() < 3 ||
      std::any_of(lines.begin(), lines.end(), [](const std::string& line) { return line.empty(); }))
    return false;
  const std::string& size = lines[1];
  const auto [end, error] =
      std::from_chars(size.data(), size.data() + size.size(), checkpoint.size);
  const Bytes root = unbase64(lines[2]);
  if (error != std::errc() || end != size.data() + size.size() ||
      root.size() != checkpoint.root.size())
    return false;
  checkpoint.origin = lines[0];
  std::copy(root.begin(), root.end(), checkpoint.root.begin());
  checkpoint.extensions.assign(lines.begin() + 3, lines.end());
  return true;
}

// signatures_of are the signatures of a note under a key's name, with the key ids in front.
std::vector<Bytes> signatures_of(const std::vector<std::string>& lines, std::string_view name) {
  std::vector<Bytes> signatures;
  for (const std::string& line : lines) {
    const std::string start = std::string(kDash) + std::string(name) + " ";
    if (!line.starts_with(start)) continue;
    Bytes bytes = unbase64(std::string_view(line).substr(start.size()));
    if (bytes.size() > kIdBytes) signatures.push_back(std::move(bytes));
  }
  return signatures;
}

Result<bool> is_signed_by_any(const std::string& body, ByteView signature,
                              const std::vector<keystore::KeyRow>& rows, const std::string& where) {
  const auto signer = find_signer(rows, body, signature.subspan(kIdBytes), where);
  if (!signer) return false;
  FUGO_ASSIGN(const auto id, key_id(*signer));
  return std::equal(id.begin(), id.end(), signature.begin());
}

}  // namespace

std::string Checkpoint::text() const {
  std::string body = fmt::format("{}\n{}\n{}\n", origin, size, base64(root));
  for (const std::string& line : extensions) body += line + "\n";
  return body;
}

std::string origin_of(const keystore::LedgerHeader& header) {
  return "fugo.invalid/ledger/" + hex(header.ledger_id.bytes);
}

Result<std::string> sign_checkpoint(hsm::Token& token, const keystore::KeyRow& journal_key,
                                    const Checkpoint& checkpoint) {
  const std::string body = checkpoint.text();
  FUGO_ASSIGN(Bytes bytes, key_id(journal_key));
  FUGO_ASSIGN(const auto signature, sign_text(token, journal_key, body));
  bytes.insert(bytes.end(), signature.begin(), signature.end());
  return fmt::format("{}\n{}{} {}\n", body, kDash, checkpoint.origin, base64(bytes));
}

Result<Checkpoint> open_checkpoint(const std::string& note, const std::string& origin,
                                   const std::vector<keystore::KeyRow>& rows,
                                   const std::string& where) {
  const auto damaged = [&](const char* what) { return fail(ErrorCode::kDamaged, what, where); };
  const auto gap = note.rfind("\n\n");
  if (gap == std::string::npos) return damaged("is no signed note");
  const std::string body = note.substr(0, gap + 1);
  Checkpoint checkpoint;
  if (!read_body(lines_of(body), checkpoint)) return damaged("is no checkpoint");
  if (checkpoint.origin != origin) return damaged("is a checkpoint of another ledger");
  for (const Bytes& signature : signatures_of(lines_of(note.substr(gap + 2)), origin)) {
    FUGO_ASSIGN(const bool right, is_signed_by_any(body, signature, rows, where));
    if (right) return checkpoint;
  }
  return damaged("is not signed by a journal key of this ledger");
}

}  // namespace fugo::daemon
