// Directories that one account writes and a group may read. The directory itself is the record of
// it: it has the set-group-ID bit and lets its group read. Whoever makes a file in it asks here, so
// no setting can be forgotten, and an account that is not in the group needs no right to give it:
// the file gets the group from its directory.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "base/result.h"

namespace fugo {

// find_group gives the number of a group (by its name, or as a number) that this process may give
// files to: one that it is in, or any for root. kUsage when there is none of this name or it is not
// in it.
[[nodiscard]] Result<gid_t> find_group(const std::string& name);

// is_shared tells whether a directory is one; false also when it cannot be looked at.
[[nodiscard]] bool is_shared(const std::filesystem::path& directory);

// share_directory gives a directory to the group: mode 2750.
[[nodiscard]] Status share_directory(const std::filesystem::path& directory, gid_t group);
// share_as_parent does so when the directory above is shared, with the same group.
[[nodiscard]] Status share_as_parent(const std::filesystem::path& directory);
// share_file sets the mode of a file just made, whatever the umask, when its directory is shared;
// elsewhere it leaves it alone.
[[nodiscard]] Status share_file(int fd, const std::filesystem::path& file, unsigned mode = 0640);

// give_to_group changes group and mode of a file or directory.
[[nodiscard]] Status give_to_group(const std::filesystem::path& path, gid_t group, unsigned mode);

}  // namespace fugo
