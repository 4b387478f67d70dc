#include "keystore/bulk_files.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>

#include "base/parallel.h"
#include "keystore/bulk_reader.h"
#include "keystore/bulk_writer.h"

namespace fugo::keystore {
namespace {

template <typename Codec>
Result<FileRow> write_file(const BulkPlace& place, FileNumber number, Generation generation,
                           PersonId first_id, std::span<const typename Codec::Entry> entries) {
  FUGO_ASSIGN(auto writer, EntryWriter<Codec>::create(place, number, generation, first_id));
  FUGO_TRY(writer.append(entries));
  return writer.finish();
}

// The parts of a segment: its person files, then index and issued.
using WritePart = std::function<Result<FileRow>(FileNumber)>;

std::vector<WritePart> parts_of(const BulkPlace& place, const SegmentFiles& data) {
  std::vector<WritePart> parts;
  for (std::size_t from = 0; from < data.people.size(); from += kMaxPersonsInFile) {
    const auto people = data.people.subspan(
        from, std::min<std::size_t>(kMaxPersonsInFile, data.people.size() - from));
    const auto first_id = static_cast<PersonId>(data.first_id + from);
    parts.emplace_back([=, &place, &data](FileNumber number) {
      return write_file<PersonCodec>(place, number, data.generation, first_id, people);
    });
  }
  if (!data.index.empty())
    parts.emplace_back([&](FileNumber number) {
      return write_file<IndexCodec>(place, number, data.generation, 0, data.index);
    });
  if (!data.issued.empty())
    parts.emplace_back([&](FileNumber number) {
      return write_file<IssuedCodec>(place, number, 0, 0, data.issued);
    });
  return parts;
}

}  // namespace

Result<std::vector<FileRow>> write_segment_files(const BulkPlace& place, FileNumber first_number,
                                                 const SegmentFiles& data, std::size_t threads) {
  const auto parts = parts_of(place, data);
  std::vector<FileRow> rows(parts.size());  // number 0: not written
  auto written = parallel_ranges(parts.size(), 1, threads,
                                 [&](std::size_t first, std::size_t last, std::size_t) -> Status {
                                   for (std::size_t i = first; i < last; ++i) {
                                     FUGO_ASSIGN(rows[i], parts[i](first_number + i));
                                   }
                                   return {};
                                 });
  if (written && !rows.empty()) written = sync_directory(place.directory);
  if (!written) {
    std::erase_if(rows, [](const FileRow& row) { return row.number == 0; });
    remove_bulk_files(place, rows);
    return tl::unexpected<Error>(std::move(written).error());
  }
  return rows;
}

bool is_staged_file(const std::filesystem::path& name) {
  const std::string text = name.stem().string();
  FileNumber number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= kFirstStagedFile;
}

void remove_bulk_files(const BulkPlace& place, std::span<const FileRow> rows) {
  for (const FileRow& row : rows) ::unlink(file_place(place, row.number).c_str());
}

Result<std::vector<std::filesystem::path>> find_unnamed_files(const BulkPlace& place,
                                                              std::span<const FileRow> rows) {
  std::vector<std::string> named;
  for (const FileRow& row : rows) named.push_back(bulk_file_name(row.number));
  std::sort(named.begin(), named.end());
  std::error_code error;
  std::vector<std::filesystem::path> unnamed;
  for (std::filesystem::directory_iterator entry(place.directory, error), end;
       !error && entry != end; entry.increment(error)) {
    const auto name = entry->path().filename();
    if (!std::binary_search(named.begin(), named.end(), name.string())) unnamed.push_back(name);
  }
  if (error)
    return fail_errno("cannot read the directory", place.directory.string(), error.value());
  return unnamed;
}

Error gone_is_stale(Error error, std::span<const FileRow> rows, std::span<const FileRow> now) {
  if (error.code != ErrorCode::kIo || error.native != ENOENT) return error;
  const bool all_named = std::all_of(rows.begin(), rows.end(), [&](const FileRow& row) {
    return std::find(now.begin(), now.end(), row) != now.end();
  });
  if (!all_named) error.code = ErrorCode::kStale;
  return error;
}

}  // namespace fugo::keystore
