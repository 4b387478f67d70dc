// Memory that a batch gives back and takes again.
#pragma once

namespace fugo {

// HeapKept lives as long as a batch: what the batch frees stays in the process for its next
// segment, instead of going back to the system and coming again page by page, each cleared by the
// system first. At its end the process gives back what is free. One at a time; of the GNU C
// library, elsewhere it does nothing. Not for secrets, which have memory of their own (secret.h).
class HeapKept {
 public:
  HeapKept();
  ~HeapKept();
  HeapKept(const HeapKept&) = delete;
  HeapKept& operator=(const HeapKept&) = delete;
};

}  // namespace fugo
