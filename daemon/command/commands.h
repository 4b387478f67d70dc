// The commands of `fugo`, one file each: every function adds one to the application.
#pragma once

#include "daemon/command/context.h"

namespace fugo::daemon {

void add_init(CLI::App& app, Context& context);
void add_agency(CLI::App& app, Context& context);
void add_agency_merge(CLI::App& agency, Context& context);  // `agency` is the command's group
void add_issue(CLI::App& app, Context& context);
void add_change(CLI::App& app, Context& context);
void add_delete(CLI::App& app, Context& context);
void add_check(CLI::App& app, Context& context);
void add_jobs(CLI::App& app, Context& context);
void add_outbox(CLI::App& app, Context& context);
void add_freeze(CLI::App& app, Context& context);  // and thaw
void add_link(CLI::App& app, Context& context);
void add_keys(CLI::App& app, Context& context);
void add_key_changes(CLI::App& group, Context& context);   // part of add_keys
void add_key_recovery(CLI::App& group, Context& context);  // part of add_keys
void add_exchange(CLI::App& app, Context& context);
void add_regenerate(CLI::App& app, Context& context);
void add_status(CLI::App& app, Context& context);
void add_stats(CLI::App& app, Context& context);
void add_verify(CLI::App& app, Context& context);
void add_backup(CLI::App& app, Context& context);  // and restore
void add_digest(CLI::App& app, Context& context);
void add_journal(CLI::App& app, Context& context);
void add_accept_clock(CLI::App& group, Context& context);  // part of add_journal

}  // namespace fugo::daemon
