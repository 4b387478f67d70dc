// TableKeeper: tables that are there before they are asked for, and know what was committed.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <thread>

#include "base/result.h"
#include "engine/link/link_view.h"
#include "engine/link/linking.h"
#include "engine/link/resolver_index.h"

namespace fugo::engine {

// TableKeeper is the background thread of a Linking: it builds tables ahead where that is wanted,
// again whenever the registry changed, and brings tables up to date after commits, so that those
// who ask seldom have to.
class TableKeeper {
 public:
  using Note = std::function<void(const Error&)>;  // takes what went wrong; throws nothing

  // What it is given must outlive it.
  TableKeeper(ViewKeeper& views, ResolverIndex& index, const LinkingSettings& settings, Note note)
      : views_(views), index_(index), settings_(settings), note_(std::move(note)) {}
  ~TableKeeper();  // waits for the thread
  TableKeeper(const TableKeeper&) = delete;
  TableKeeper& operator=(const TableKeeper&) = delete;

  void start();

  // build builds the tables of these agencies (empty: of all) in every generation that is accepted,
  // on the caller's thread.
  [[nodiscard]] Status build(const LinkView& view, std::span<const keystore::AgencyNumber> agencies,
                             const std::function<Status()>& keep_going);

 private:
  void run();
  [[nodiscard]] Status freshen();
  [[nodiscard]] Status going();

  ViewKeeper& views_;
  ResolverIndex& index_;
  const LinkingSettings& settings_;
  const Note note_;

  // Of the thread: the commit that all tables know, and the registry that they were built ahead
  // for.
  std::uint64_t fresh_ = 0;
  std::optional<std::uint64_t> ahead_of_;

  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace fugo::engine
