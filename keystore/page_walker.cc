#include "keystore/page_walker.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <array>
#include <bit>
#include <cerrno>
#include <utility>

#include "base/file.h"
#include "keystore/page_format.h"
#include "keystore/page_snapshot.h"

namespace fugo::keystore {
namespace {

using pages::Meta;
using pages::PageSource;

// Pages at the end that were taken and given back within one commit are never written, so the
// file may be shorter than its pages: by no more than one transaction can hold in LMDB.
constexpr std::uint64_t kMaxUnwrittenPages = 131072;
constexpr std::uint64_t kMaxMapSize = std::uint64_t{1} << 47U;
constexpr int kMaxReadings = 5;

struct Metas {
  std::array<Meta, 2> meta;
  [[nodiscard]] const Meta& newest() const {
    return meta[meta[1].transaction > meta[0].transaction ? 1 : 0];
  }
  [[nodiscard]] const Meta& older() const { return &newest() == &meta[0] ? meta[1] : meta[0]; }
};

void find(PageReport& report, std::uint64_t page, std::string what) {
  ++report.finding_count;
  if (report.findings.size() < PageReport::kMaxFindings)
    report.findings.push_back({page, std::move(what)});
}

bool plausible_page_size(std::uint64_t size) {
  return size >= pages::kMinPageSize && size <= pages::kMaxPageSize && std::has_single_bit(size);
}

// check_meta checks what can be told from one meta page alone.
void check_meta(PageReport& report, const Meta& meta, std::uint64_t page, std::uint64_t file_size) {
  if (meta.header.number != page || meta.header.flags != pages::kMeta)
    find(report, page, "a meta page's header is damaged");
  if (meta.magic != pages::kMagic) find(report, page, "not an LMDB file: its mark is missing");
  if (meta.version != pages::kVersion)
    find(report, page, fmt::format("LMDB's format has version {}, not 1", meta.version));
  if (meta.address != 0) find(report, page, "a fixed address is asked for");
  if (meta.last_page < 1 || meta.last_page >= kMaxMapSize ||
      meta.last_page > file_size / meta.page_size() + kMaxUnwrittenPages) {
    find(report, page, "the last page's number does not fit the file's length");
  } else if (meta.map_size < (meta.last_page + 1) * meta.page_size() ||
             meta.map_size > kMaxMapSize) {
    find(report, page, "the size of the map is out of range");
  }
}

// check_pair checks that the two meta pages follow one another, so that a damaged newest one that
// would make LMDB fall back to the one before it, unnoticed, is seen.
void check_pair(PageReport& report, const Metas& metas) {
  const auto& [first, second] = metas.meta;
  const bool fresh = first.transaction == 0 && second.transaction == 0;  // nothing committed yet
  const bool follow =
      metas.newest().transaction - metas.older().transaction == 1 && first.transaction % 2 == 0;
  if (!fresh && !follow) find(report, 0, "the meta pages' transactions do not follow one another");
  if (first.free.flags != second.free.flags) find(report, 0, "the meta pages' flags differ");
  if (metas.older().last_page > metas.newest().last_page)
    find(report, 0, "the meta pages' last page numbers do not follow one another");
}

// read_metas is nothing when the file cannot hold two meta pages of one page size.
bool read_metas(PageReport& report, PageSource& source, Metas& metas) {
  std::array<std::uint8_t, pages::kMetaSize> bytes{};
  if (!source.read(0, bytes)) {
    find(report, 0, "the file is too short for a meta page");
    return false;
  }
  metas.meta[0] = pages::decode_meta(bytes.data());
  const std::uint64_t page_size = metas.meta[0].page_size();
  if (!plausible_page_size(page_size)) {
    find(report, 0, "the page size is damaged");
    return false;
  }
  if (source.size() < 2 * page_size || !source.read(page_size, bytes)) {
    find(report, 1, "the file is too short for two meta pages");
    return false;
  }
  metas.meta[1] = pages::decode_meta(bytes.data());
  if (metas.meta[1].page_size() != page_size) {
    find(report, 1, "the meta pages' page sizes differ");
    return false;
  }
  return true;
}

// check_once reads the file once; the transaction that it began with is in the report.
PageReport check_once(PageSource& source) {
  PageReport report;
  Metas metas;
  if (!read_metas(report, source, metas)) return report;
  for (std::size_t i = 0; i < 2; ++i) check_meta(report, metas.meta[i], i, source.size());
  check_pair(report, metas);
  const Meta& newest = metas.newest();
  report.transaction = newest.transaction;
  report.pages = newest.last_page + 1;
  if (!report.sound()) return report;
  pages::SnapshotWalk walk(source, newest, "", report);
  walk.run();
  report.reached = walk.reached();
  report.free = walk.free();
  report.trees = walk.trees();
  report.entries = walk.entries();
  if (report.sound() && newest.transaction > 0)
    pages::SnapshotWalk(source, metas.older(), "in the snapshot before the newest: ", report).run();
  return report;
}

}  // namespace

std::string PageReport::text() const {
  if (sound()) return fmt::format("{} pages, {} in use, {} free", pages, reached, free);
  const PageFinding& first = findings.front();
  std::string text = fmt::format("page {}: {}", first.page, first.what);
  if (finding_count > 1) text += fmt::format(", and {} more", finding_count - 1);
  return text;
}

Result<PageReport> check_pages(const std::filesystem::path& path) {
  FUGO_ASSIGN(const UniqueFd file, open_file(path, O_RDONLY));
  std::uint64_t last_transaction = 0;
  for (int reading = 0; reading < kMaxReadings; ++reading) {
    struct stat status {};
    if (::fstat(file.get(), &status) != 0)
      return fail_errno("cannot examine", path.string(), errno);
    if (!S_ISREG(status.st_mode)) return fail(ErrorCode::kIo, "not a regular file", path.string());
    PageSource source(file.get(), static_cast<std::uint64_t>(status.st_size));
    PageReport report = check_once(source);
    if (source.error_number() != 0)
      return fail_errno("cannot read", path.string(), source.error_number());
    // Damage stays where it is; what a commit changed meanwhile does not.
    if (report.sound() || (reading > 0 && report.transaction == last_transaction)) return report;
    last_transaction = report.transaction;
  }
  return fail(ErrorCode::kRefused, "the file changed each time that it was read", path.string(),
              "stop the writer, and run it again");
}

}  // namespace fugo::keystore
