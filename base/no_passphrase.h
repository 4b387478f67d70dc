// For readers of PEM: one that is encrypted is not asked for its passphrase, since nobody may be
// there to answer. Without this libcrypto asks on the terminal.
#pragma once

namespace fugo {

inline int no_passphrase(char*, int, int, void*) { return -1; }

}  // namespace fugo
