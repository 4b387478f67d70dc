#include "base/heap.h"

#include <cstdlib>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace fugo {

#ifdef __GLIBC__
namespace {
constexpr int kLargestFromHeap = 32 << 20;  // bytes; the most that mallopt takes
constexpr int kKept = 1 << 30;              // bytes at the heap's end
constexpr int kUsuallyKept = 64 << 20;
}  // namespace

HeapKept::HeapKept() {
  ::mallopt(M_MMAP_THRESHOLD, kLargestFromHeap);
  ::mallopt(M_TRIM_THRESHOLD, kKept);
}

HeapKept::~HeapKept() {
  ::mallopt(M_TRIM_THRESHOLD, kUsuallyKept);
  ::malloc_trim(0);
}
#else
HeapKept::HeapKept() = default;
HeapKept::~HeapKept() = default;
#endif

}  // namespace fugo
