// A Linking keeps to the process that opened it.
#pragma once

#include <memory>

#include "engine/link/linking.h"

namespace fugo::engine {

// keep_to_process gives a Linking that does what `linking` does in this process, and in a forked
// child what linking.h promises: threads that `linking` waits for are not there, its locks may be
// held by them, and its secret memory is not mapped, so it must not be entered, nor destroyed.
[[nodiscard]] std::unique_ptr<Linking> keep_to_process(std::unique_ptr<Linking> linking);

}  // namespace fugo::engine
