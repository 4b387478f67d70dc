// The commands about other sites; as commands.h.
#pragma once

#include "daemon/command/context.h"

namespace fugo::daemon {

void add_second_site(CLI::App& app, Context& context);       // ship, follow, takeover
void add_compare(CLI::App& app, Context& context);           // and reconcile
void add_journal_copy(CLI::App& journal, Context& context);  // part of add_journal

}  // namespace fugo::daemon
