// Signals are the program's, and are handled in its own threads.
#pragma once

#include <csignal>

namespace fugo {

// QuietSignals keeps signals from the threads that its thread makes as long as it lives, but not
// those of a thread's own faults: the handlers of those tell what happened.
class QuietSignals {
 public:
  QuietSignals() {
    sigset_t others;
    ::sigfillset(&others);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS})
      ::sigdelset(&others, fault);
    ::pthread_sigmask(SIG_BLOCK, &others, &before_);
  }
  ~QuietSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  QuietSignals(const QuietSignals&) = delete;
  QuietSignals& operator=(const QuietSignals&) = delete;

 private:
  sigset_t before_;
};

}  // namespace fugo
