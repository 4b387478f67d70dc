// The memory of another process, as whoever is allowed to can read it.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

namespace fugo::test {

// memory_of reads every mapping of a process that it can read, but for code and for maps of more
// than 4 GiB, which is the ledger's.
[[nodiscard]] std::string memory_of(pid_t pid);

// core_of is a core dump as the kernel would write it, made in `scratch`; `all` adds what is marked
// as to be left out of one.
[[nodiscard]] std::string core_of(pid_t pid, const std::filesystem::path& scratch,
                                  bool all = false);

}  // namespace fugo::test
