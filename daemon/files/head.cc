#include "daemon/files/head.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace fugo::daemon {
namespace {

constexpr std::string_view kMagic = "#fugo-request";
constexpr std::size_t kShownLength = 40;
constexpr std::string_view kExample =
    "#fugo-request,version=1,id=J20261120-0001,kind=issue,environment=test,records=3";

struct KindRow {
  keystore::JobKind kind;
  std::string_view name, columns;
};
constexpr std::array<KindRow, 3> kKinds = {{
    {keystore::JobKind::kIssue, "issue", "processing_number,agency_code,resident_code"},
    {keystore::JobKind::kChange, "change", "old_resident_code,new_resident_code"},
    {keystore::JobKind::kDelete, "delete", "resident_code,reason"},
}};

// Fields are the values of the first line, as they stand there.
struct Fields {
  std::optional<std::string_view> version, id, kind, environment, records, join;
};
struct FieldRow {
  std::string_view name;
  std::optional<std::string_view> Fields::*value;
  bool required;
};
constexpr std::array<FieldRow, 6> kFields = {{
    {"version", &Fields::version, true},
    {"id", &Fields::id, true},
    {"kind", &Fields::kind, true},
    {"environment", &Fields::environment, false},
    {"records", &Fields::records, true},
    {"join", &Fields::join, false},
}};

tl::unexpected<Error> refuse(std::string what, const std::filesystem::path& path,
                             std::string hint = {}) {
  if (hint.empty()) hint = fmt::format("the first line looks like this: {}", kExample);
  return fail(ErrorCode::kRefused, std::move(what), path.string() + ":1", std::move(hint));
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kShownLength &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

Result<Fields> split(std::string_view line, const std::filesystem::path& path) {
  Fields fields;
  while (!line.empty()) {
    line.remove_prefix(1);  // the comma
    const std::string_view field = line.substr(0, line.find(','));
    line.remove_prefix(field.size());
    const std::size_t equals = field.find('=');
    const std::string_view name = field.substr(0, equals);
    // What is no name at all is not shown: data may have got into the first line.
    if (equals == std::string_view::npos || !is_name(name))
      return refuse("a field of the first line is not of the form name=value", path);
    const auto* row = std::find_if(kFields.begin(), kFields.end(),
                                   [name](const FieldRow& known) { return known.name == name; });
    if (row == kFields.end())
      return refuse(fmt::format("the first line has an unknown field \"{}\"", name), path);
    if (fields.*(row->value))
      return refuse(fmt::format("the first line has the field \"{}\" twice", name), path);
    fields.*(row->value) = field.substr(equals + 1);
  }
  for (const auto& row : kFields)
    if (row.required && !(fields.*(row.value)))
      return refuse(fmt::format("the first line has no field \"{}\"", row.name), path);
  return fields;
}

std::optional<std::uint64_t> parse_records(std::string_view text) {
  if (text.empty() || text.size() > 18) return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

bool is_request_id(std::string_view id) {
  if (id.empty() || id.size() > kMaxIdLength || id.front() == '.') return false;
  return std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
           c == '_' || c == '-';
  });
}

Result<RequestHead> parse_head(std::string_view line, const std::filesystem::path& path) {
  if (line.find('\r') != std::string_view::npos)
    return refuse("the first line has a carriage return in it", path,
                  "lines end with LF or CRLF, not with CR alone");
  if (!line.starts_with(kMagic) || (line.size() > kMagic.size() && line[kMagic.size()] != ','))
    return refuse("the first line does not begin with \"#fugo-request,\"", path);
  FUGO_ASSIGN(const Fields fields, split(line.substr(kMagic.size()), path));
  if (*fields.version != "1")
    return refuse("the request's version is not 1", path, "this fugo reads version 1 only");
  if (!is_request_id(*fields.id))
    return refuse("the request's id is not 1 to 64 of 0-9A-Za-z._-, not beginning with a dot",
                  path);
  RequestHead head;
  head.id = *fields.id;
  const auto* kind = std::find_if(kKinds.begin(), kKinds.end(),
                                  [&](const KindRow& row) { return row.name == *fields.kind; });
  if (kind == kKinds.end()) return refuse("the kind is not issue, change or delete", path);
  head.kind = kind->kind;
  if (fields.environment) {
    if (*fields.environment != "test" && *fields.environment != "production")
      return refuse("the environment is not test or production", path);
    head.environment = *fields.environment;
  }
  const auto records = parse_records(*fields.records);
  if (!records)
    return refuse("the number of records is not a number without sign or leading zeros", path);
  head.records = *records;
  if (fields.join) {
    if (head.kind != keystore::JobKind::kChange)
      return refuse("the first line has the field \"join\", which only kind change has", path);
    if (*fields.join != "yes")
      return refuse("the field \"join\" is not yes", path, "write join=yes, or leave it out");
    head.join = true;
  }
  return head;
}

Status check_header(std::string_view line, keystore::JobKind kind,
                    const std::filesystem::path& path) {
  for (const auto& row : kKinds) {
    if (row.kind != kind) continue;
    if (line == row.columns) return {};
    return fail(ErrorCode::kRefused,
                fmt::format("the second line is not the header of a request of kind {}", row.name),
                path.string() + ":2", fmt::format("it must be: {}", row.columns));
  }
  return fail(ErrorCode::kInternal, "no such kind of request");
}

}  // namespace fugo::daemon
