// Merging of bulk files on a thread of its own, beside the segments that are being committed.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/result.h"
#include "keystore/bulk_files.h"
#include "keystore/tables.h"

namespace fugo::keystore {

// BulkCatalogue is what commits of bulk files share: where they lie, where they are named, and the
// numbers that were given out. Thread-safe.
class BulkCatalogue {
 public:
  BulkCatalogue(BulkPlace place, std::shared_ptr<Environment> environment,
                std::shared_ptr<const Sealer> sealer, FileNumber next_file)
      : place_(std::move(place)),
        environment_(std::move(environment)),
        sealer_(std::move(sealer)),
        next_file_(next_file) {}

  [[nodiscard]] const BulkPlace& place() const { return place_; }
  [[nodiscard]] const std::shared_ptr<Environment>& environment() const { return environment_; }
  [[nodiscard]] const std::shared_ptr<const Sealer>& sealer() const { return sealer_; }

  // take_numbers gives the first of `count` file numbers that nobody else gets.
  [[nodiscard]] FileNumber take_numbers(std::uint64_t count);
  // manifest reads the committed file rows.
  [[nodiscard]] Result<std::vector<FileRow>> manifest() const;
  // settled_files are those that the writer may merge: without those of a generation that a
  // regeneration is writing.
  [[nodiscard]] Result<std::vector<FileRow>> settled_files() const;

 private:
  const BulkPlace place_;
  const std::shared_ptr<Environment> environment_;
  const std::shared_ptr<const Sealer> sealer_;
  std::mutex mutex_;
  FileNumber next_file_;  // guarded by mutex_
};

// Merger carries out plan_merges() until nothing is left to merge, whenever it is woken.
// Thread-safe. Its destructor gives up a merge that is under way and waits for the thread.
class Merger {
 public:
  explicit Merger(BulkCatalogue& catalogue) : catalogue_(catalogue) {}
  ~Merger();
  Merger(const Merger&) = delete;
  Merger& operator=(const Merger&) = delete;

  void wake();
  // give_up ends the thread for good, with the merge that is under way given up.
  void give_up();
  // settle returns when nothing is under way.
  void settle();
  // warning is why the last merge failed, until a later one succeeds: the ledger is whole without
  // it, and the next wake() tries again.
  [[nodiscard]] std::optional<Error> warning() const;
  // take_damage gives, once, the error of a merge that met damage: that does not pass.
  [[nodiscard]] Status take_damage();

 private:
  void run();
  [[nodiscard]] bool stopping();
  [[nodiscard]] Status merge_all();
  [[nodiscard]] Status carry_out(const MergePlan& plan);

  BulkCatalogue& catalogue_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::thread thread_;
  bool wanted_ = false, busy_ = false, stop_ = false;
  std::optional<Error> warning_, damage_;
};

}  // namespace fugo::keystore
