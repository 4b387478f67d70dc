#include "daemon/approvals.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <string_view>

#include "base/file.h"
#include "base/text.h"
#include "daemon/custodian_key.h"
#include "daemon/time_text.h"

namespace fugo::daemon {
namespace {

constexpr std::size_t kMaxRequestBytes = 64U << 10U;
constexpr std::size_t kCustodiansNeeded = 2;
constexpr const char* kFirstLine = "#fugo-approval,version=1";

tl::unexpected<Error> refused(std::string what, std::string where, std::string hint = {}) {
  return fail(ErrorCode::kRefused, std::move(what), std::move(where), std::move(hint));
}

// Request is an approval's text, taken apart.
struct Request {
  std::string ledger, environment, act;
  std::vector<std::string> keys;  // sorted
  std::string site;               // of a takeover, else empty
  std::string expires;
  std::uint64_t journal_entries = 0;
  std::string journal_head;  // hexadecimal
};

std::string text_of(const Request& request) {
  std::string text = fmt::format("{}\nledger={}\nenvironment={}\nact={}\n", kFirstLine,
                                 request.ledger, request.environment, request.act);
  for (const auto& key : request.keys) text += fmt::format("key={}\n", key);
  if (!request.site.empty()) text += fmt::format("site={}\n", request.site);
  return text + fmt::format("expires={}\njournal_entries={}\njournal_head={}\n", request.expires,
                            request.journal_entries, request.journal_head);
}

Request request_for(const keystore::Ledger& ledger, const KeyAct& act) {
  Request request;
  request.ledger = hex(ledger.header().ledger_id.bytes);
  request.environment = ledger.header().environment;
  request.act = act.act;
  request.keys = act.keys;
  request.site = act.site;
  std::sort(request.keys.begin(), request.keys.end());
  return request;
}

// parse is strict: what it takes in is exactly what text_of writes.
Result<Request> parse(const std::string& text, const std::string& where) {
  const auto malformed = [&] {
    return refused("is not a request for an approval, or was changed", where,
                   "write a new one with fugo keys request, and have it signed as it is");
  };
  Request request;
  std::map<std::string, std::string> fields;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto end = text.find('\n', at);
    if (end == std::string::npos) return malformed();
    const std::string line = text.substr(at, end - at);
    const auto equals = line.find('=');
    if (at != 0 && equals == std::string::npos) return malformed();
    if (at != 0 && line.substr(0, equals) == "key")
      request.keys.push_back(line.substr(equals + 1));
    else if (at != 0)
      fields[line.substr(0, equals)] = line.substr(equals + 1);
    at = end + 1;
  }
  request.ledger = fields["ledger"];
  request.environment = fields["environment"];
  request.act = fields["act"];
  request.site = fields["site"];
  request.expires = fields["expires"];
  request.journal_head = fields["journal_head"];
  const std::string& entries = fields["journal_entries"];
  std::from_chars(entries.data(), entries.data() + entries.size(), request.journal_entries);
  if (text_of(request) != text) return malformed();
  return request;
}

// check_text compares what was signed with what is to be done.
Status check_text(const Request& request, const Request& wanted, const std::string& where) {
  if (request.ledger != wanted.ledger || request.environment != wanted.environment)
    return refused("the approval is for another ledger", where);
  if (request.act != wanted.act)
    return refused(fmt::format("the approval is for {}, not for {}", request.act, wanted.act),
                   where);
  if (request.site != wanted.site)
    return refused("the approval is for another standby site", where,
                   "have a request of this site's approved: fugo takeover --write-request");
  FUGO_ASSIGN(const auto expires, parse_time(request.expires));
  if (unix_now() > expires)
    return refused("the approval expired at " + request.expires, where,
                   "have a new request approved");
  return {};
}

Status check_keys(const Request& request, const Request& wanted, const std::string& where) {
  if (request.keys == wanted.keys) return {};
  return refused(fmt::format("the approval is for other keys: {}; what is to be done: {}",
                             fmt::join(request.keys, " "), fmt::join(wanted.keys, " ")),
                 where, "have a new request approved");
}

// is_start: an act that was begun journals ACT.start, and may go on.
bool is_start(const std::string& act) {
  constexpr std::string_view kEnd = ".start";
  return act.size() > kEnd.size() && act.compare(act.size() - kEnd.size(), kEnd.size(), kEnd) == 0;
}

// check_journal: the entry that is named is in this journal, and nothing was done with the request
// since, but what was begun with it and is not finished.
Status check_journal(const keystore::Ledger& ledger, const Request& request,
                     const std::string& digest, const std::string& where) {
  FUGO_ASSIGN(const auto state, ledger.state());
  const auto entries = request.journal_entries;
  if (entries == 0 || entries > state.journal_entries)
    return refused("the approval names a journal entry that there is not", where,
                   "was the ledger put back to an older copy?");
  const std::string mark = fmt::format("\"request\":\"{}\"", digest);
  constexpr std::uint64_t kPiece = 4096;
  for (std::uint64_t first = entries - 1; first < state.journal_entries; first += kPiece) {
    FUGO_ASSIGN(const auto piece, ledger.journal(first, kPiece));
    if (first == entries - 1 && (piece.empty() || hex(piece.front().hash) != request.journal_head))
      return refused("the approval is for another journal: its head is not in this one", where,
                     "was the ledger put back to an older copy?");
    for (const auto& entry : piece)
      if (!is_start(entry.act) && entry.details.find(mark) != std::string::npos)
        return refused(fmt::format("the approval was used already, see entry {} of the journal",
                                   entry.sequence),
                       where, "have a new request approved");
  }
  return {};
}

struct Approval {
  std::string custodian;
  std::filesystem::path signature;
};

Result<std::vector<Approval>> split(const std::vector<std::string>& given) {
  std::vector<Approval> approvals;
  for (const auto& text : given) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
      return fail(ErrorCode::kUsage, "must be CUSTODIAN=FILE", "--approval",
                  "the custodian's name in [custodians], and the file with the signature");
    approvals.push_back({text.substr(0, equals), text.substr(equals + 1)});
  }
  return approvals;
}

// check_signatures gives the custodians' names. Two names for one key would be one custodian.
Result<std::vector<std::string>> check_signatures(const Settings& settings, const std::string& text,
                                                  const std::vector<std::string>& given) {
  FUGO_ASSIGN(const auto approvals, split(given));
  std::vector<std::string> names;
  std::set<std::string> keys;
  for (const auto& approval : approvals) {
    const auto known = std::find_if(
        settings.custodians.begin(), settings.custodians.end(),
        [&](const Custodian& custodian) { return custodian.name == approval.custodian; });
    if (known == settings.custodians.end())
      return refused("there is no custodian " + approval.custodian, "--approval",
                     "the configuration names them in [custodians]");
    FUGO_ASSIGN(const auto key, CustodianKey::read(known->public_key));
    FUGO_TRY(key.verify(text, approval.signature));
    if (std::find(names.begin(), names.end(), known->name) != names.end())
      return refused("two different custodians must approve, not " + known->name + " twice",
                     "--approval");
    if (!keys.insert(key.encoded()).second)
      return refused("the custodian " + known->name + " has the same key as another",
                     settings.file.string(), "each custodian has a key of their own");
    names.push_back(known->name);
  }
  if (names.size() >= kCustodiansNeeded) return names;
  return refused(fmt::format("{} approvals were given, of {} that are needed", names.size(),
                             kCustodiansNeeded),
                 "--approval", "have the request signed by another custodian");
}

}  // namespace

std::string created_key(const std::string& label) { return label; }

std::string destroyed_key(const keystore::KeyRow& row) {
  return fmt::format("{},fingerprint={}", row.label, hex(row.fingerprint.bytes));
}

Result<std::string> approval_request(const keystore::Ledger& ledger, const KeyAct& act,
                                     std::int64_t expires) {
  FUGO_ASSIGN(const auto state, ledger.state());
  Request request = request_for(ledger, act);
  request.expires = format_time(expires);
  request.journal_entries = state.journal_entries;
  request.journal_head = hex(state.journal_head);
  return text_of(request);
}

Result<nlohmann::ordered_json> check_approvals(const Settings& settings,
                                               const keystore::Ledger& ledger, const KeyAct& act,
                                               const ApprovalFiles& files) {
  const bool given = !files.request.empty() || !files.approvals.empty();
  if (settings.custodians.empty()) {
    if (!given) return nlohmann::ordered_json::object();
    return fail(ErrorCode::kUsage, "approvals were given, and no custodians are configured",
                settings.file.string(), "name them in [custodians]");
  }
  if (files.request.empty())
    return refused("two custodians must approve this", "--request",
                   "write what they sign (fugo keys request, fugo takeover --write-request), then "
                   "give --request and two --approval");
  FUGO_ASSIGN(const auto text, read_small(files.request, kMaxRequestBytes));
  FUGO_ASSIGN(const auto request, parse(text, files.request));
  const auto wanted = request_for(ledger, act);
  FUGO_TRY(check_text(request, wanted, files.request));
  FUGO_ASSIGN(const auto names, check_signatures(settings, text, files.approvals));
  FUGO_ASSIGN(const auto digest, sha256_hex(text));
  FUGO_TRY(check_journal(ledger, request, digest, files.request));
  FUGO_TRY(check_keys(request, wanted, files.request));
  return nlohmann::ordered_json{{"request", digest}, {"custodians", names}};
}

}  // namespace fugo::daemon
