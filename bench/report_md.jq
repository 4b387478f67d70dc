# report.json as Markdown, for people.
def round_to(d): . * pow(10; d) | round / pow(10; d);
def group: tostring | explode | reverse | [range(0; length; 3) as $i | .[$i:$i + 3]] | map(reverse)
  | reverse | map(implode) | join(",");
def per_second: round | group;
def millions: . / 1e6 | round_to(1) | tostring | . + " M/s";
def gb: . / 1e9 | round_to(2) | tostring + " GB";
def mib: . / 1048576 | round | group | . + " MiB";
def verdict(ok): if ok then "met" else "**not met**" end;
def rate(name): .parts[name].items_per_second;
def link_bars(l): (l.one_way.singles[-1].per_second / l.one_way.singles_not_combined[-1].per_second) as $p5
  | "
| P4: link in batches, one-way method, a core | at least 500,000 a second | \(l.one_way.batch.per_second_and_core | group) | \(verdict(l.one_way.batch.per_second_and_core >= 500000)) |
| P4: the same, method `xts-aes256` | | \(l.inverse.batch.per_second_and_core | group) | \(verdict(l.inverse.batch.per_second_and_core >= 500000)) |
| P5: single links on 64 threads, against links with a call each | at least 10 × | \($p5 | round_to(1)) × | \(verdict($p5 >= 10)) |
| P9: tables of \(l.one_way.index.issuances | group) issuances, seconds from a cold start | at most 60 | \(l.one_way.index.seconds) | \(verdict(l.one_way.index.seconds <= 60)) |
| P9: bytes an issuance | at most 10 | \(l.one_way.index.bytes_an_issuance) | \(verdict(l.one_way.index.bytes_an_issuance <= 10)) |";
def single_row(what): "| \(what) | \(.threads) | \(.per_second | group) | \(.us_p50) | \(.us_p99) | \(.us_p999) |\n";
def link_section(l): "
## Linking

\(l.one_way.index.issuances | group) issuances at agencies of the default method; symbols of an agency in
mixed order, in batches of \(l.one_way.batch.symbols | group), and one by one. The tables of all \(l.one_way.index.agencies | group) agencies
took \(l.one_way.index.seconds) s from the start of opening, and \(l.one_way.index.bytes / 1e9 | round_to(2)) GB. A batch of the default method
gave \(l.one_way.batch.per_second | group) links a second, one of `xts-aes256` \(l.inverse.batch.per_second | group).

| single calls | threads | a second | p50 µs | p99 | p99.9 |
| --- | --- | --- | --- | --- | --- |
" + (l.one_way.singles | map(single_row("link, one-way")) | join(""))
  + (l.one_way.singles_not_combined | map(single_row("link, one-way, not combined")) | join(""))
  + (l.inverse.singles | map(single_row("link, `xts-aes256`")) | join(""))
  + (l.inverse.singles_not_combined | map(single_row("link, `xts-aes256`, not combined")) | join(""))
  + (l.bare_calls | map(single_row("bare `C_Encrypt` of two blocks")) | join(""))
  + "
What bounds single calls of many threads: on 64 threads a run answers about \(l.one_way.singles[-1].links_a_run // 0) links, and the token takes
a few microseconds of it. The rest is the operating system: each caller sleeps and is woken, which on
two cores of a virtual machine takes about two microseconds each on either side.
";
def regenerate_bar(g): "
| P6: new linkage key for \(g.people | group) people: every one of \(g.symbols | group) symbols, in mapping files | at most 180 s | \(g.run.wall_seconds) s | \(verdict(g.run.wall_seconds <= 180)) |";

def regenerate_section(g): "
## Regeneration

The linkage key of \(g.people | group) people with \(g.symbols | group) symbols is made anew (`fugo regenerate`):
\(g.files) mapping files, and the record aliases.

| step | seconds | memory beyond mapped files | ledger on disk, at most | afterwards | mapping files | record aliases |
| --- | --- | --- | --- | --- | --- | --- |
| before | | | | \(g.ledger_bytes_before | gb) | | |
" + ([["plan, with its keys", g.plan], ["run: people, symbols, files", g.run],
      ["commit: read through, checked, switched", g.commit],
      ["finish: everything written anew under new keys", g.finish]]
     | map("| \(.[0]) | \(.[1].wall_seconds) | \(.[1].anonymous_bytes_peak | mib) | \(.[1].ledger_bytes_peak | gb) | \(.[1].ledger_bytes | gb) | \(.[1].mapping_bytes | gb) | \(.[1].record_bytes | gb) |\n") | join(""))
  + "
`fugo verify` of the finished ledger took \(g.verify_seconds) s.
";
def minutes_for(n): n / . / 60 | round_to(1);

. as $r
| def both(name; f): [1, 2] | map($r.parts["\(name)/threads:\(.)"] | f) | join(" | ");
  .machine as $m | .whole.first as $first | .whole.second as $second
| "# Performance

Written by `./run bench` (`bench/bench.sh`); only what was measured in that run is told. Ratios are the
point: they were measured side by side, while rates differ from machine to machine.

| | |
| --- | --- |
| date, commit | \($m.date), \($m.commit) |
| processor | \($m.cpu), \($m.cores) cores |
| memory, system | \($m.memory_gib) GiB, \($m.system), Linux \($m.kernel), \($m.file_system) |
| load when it began | \($m.load_at_start) |
| token | \($m.token); library \($m.pkcs11_library), package \($m.softhsm) |
| libraries | \($m.openssl); \($m.lmdb) |
| compiler | GCC \($m.compiler); \($m.flags) |
"
+ (if ($m.load_at_start | tonumber) > 0.7 then "
**Other programs were running: rates, and the ratios of single benchmarks, are worth little.**
" else "" end)
+ "
## Bars

| bar | wanted | measured | |
| --- | --- | --- | --- |
| P1: derive, of the token's raw `C_Encrypt` rate for as many blocks | at least 60 % | \($r.ratios.P1_of_raw_2 * 100 | round) % (two threads), \($r.ratios.P1_of_raw_1 * 100 | round) % (one) | \(verdict($r.ratios.P1_of_raw_2 >= 0.6)) |
| P1: derive, against one `C_Sign` HMAC a symbol | at least 1,000 × | \($r.ratios.P1_times_sign_2 | round | group) × (two threads), \($r.ratios.P1_times_sign_1 | round | group) × (one) | \(verdict($r.ratios.P1_times_sign_2 >= 1000)) |"
+ (if $r.postgres then "
| P2: `fugo issue` of \($first.rows | group) residents, against PostgreSQL\(if $r.postgres.rows != $first.rows then " (rate of \($r.postgres.rows | group) residents)" else "" end) | at least 10 × | \($r.ratios.P2 | round_to(1)) × | \(verdict($r.ratios.P2 >= 10)) |" else "" end)
+ (if $r.P3 then "
| P3: a request into \($r.P3.sizes[1].people | group) people, against one into \($r.P3.sizes[0].people | group) | at most 1.5 × | \($r.P3.ratio | round_to(2)) × | \(verdict($r.P3.ratio <= 1.5)) |" else "" end)
+ "\(if $r.link then link_bars($r.link) else "" end)\(if $r.regenerate then regenerate_bar($r.regenerate) else "" end)
| P7: ledger on disk, bytes a resident | at most 110 | \($r.P7.bytes_a_resident | round_to(1)) | \(verdict($r.P7.bytes_a_resident <= 110)) |
| P7: ledger on disk, bytes an issuance | at most 12 | \($r.P7.bytes_an_issuance | round_to(1)) | \(verdict($r.P7.bytes_an_issuance <= 12)) |
| P8: resident memory of one batch, beyond mapped files | at most 2 GiB | \($r.P8.anonymous_bytes_peak | mib) | \(verdict($r.P8.anonymous_bytes_peak <= 2147483648)) |
\(if $r.daemon then "| the daemon, against `fugo issue` with the same files | at least 90 % | \($r.daemon.ratio * 100 | round) % | \(verdict($r.daemon.ratio >= 0.9)) |" else "" end)

## The whole program

Wall clock from the start of the program to its end: log in, check the file, derive, ledger durable,
answers of every agency written and durable.

| run | rows | seconds | rows a second | peak resident, all / beyond mapped files |
| --- | --- | --- | --- | --- |
| `fugo issue`, empty ledger | \($first.rows | group) | \($first.wall_seconds) | \($first.rows_per_second | per_second) | \($first.resident_bytes_peak | mib) / \($first.anonymous_bytes_peak | mib) |
| `fugo issue`, the same people at a second agency | \($second.rows | group) | \($second.wall_seconds) | \($second.rows_per_second | per_second) | \($second.resident_bytes_peak | mib) / \($second.anonymous_bytes_peak | mib) |
| `fugo verify` | \($r.whole.verify.people | group) | \($r.whole.verify.wall_seconds) | \($r.whole.verify.people / $r.whole.verify.wall_seconds | per_second) | |"
+ (if $r.postgres then "
| PostgreSQL \($r.postgres.version | split(" ")[0]) with pgcrypto | \($r.postgres.rows | group) | \($r.postgres.seconds) | \($r.postgres.residents_per_second | per_second) | |" else "" end)
+ "

At the measured rate 125 million residents take \($first.rows_per_second | minutes_for(125e6)) minutes, if it stays
as it is (the index grows: P3). What bounds `fugo issue` on two cores is the processor: reading and
checking the text, sealing, sorting and merging runs, and writing the answers share it; the token's
share is \($first.rows / (rate("symbols/derive/threads:2")) / $first.wall_seconds * 100 | round) % of the time, by the rate of derivation below.
"
+ (if $r.postgres then "
PostgreSQL does the job as a good administrator would: two sessions, each with batches of a million
rows in one transaction, in the order of the unique index; `wal_level = minimal`, `wal_compression`,
a quarter of the memory as shared buffers, no checkpoint in between, no autovacuum; staging and
answers unlogged. `fsync`, `full_page_writes` and `synchronous_commit` are on. Its keys lie in a
table; it does not seal, has no check value, does not look for duplicate processing numbers, keeps
no journal and no digest, and its ledger takes \($r.postgres.bytes_per_person) bytes a person with
one issuance each (ours: \($first.ledger_bytes_after / $first.people_new | round_to(1))). Of its \($r.postgres.seconds) s, \($r.postgres.seconds_answers) s went into answers.
The two HMACs of pgcrypto, row-wise inserts into two unique indexes and their log bound it.
" else "" end)
+ (if $r.P3 then "
## Growth (P3)

Batches of one million requests, one in ten a new resident, the others known people at a further
agency; median of four after one that warms the cache.

| people in the ledger | µs a request |
| --- | --- |
" + ($r.P3.sizes | map("| \(.people | group) | \(.microseconds_a_request | round_to(2)) |\n") | join(""))
  + ($r.P3.first_issue | map("\nFirst issue of \(.rows | group) residents: \(.wall_seconds) s, \(.rows_per_second | per_second) a second.\n") | join("")) else "" end)
+ (if $r.daemon then "
## The daemon

\($r.daemon.rows | group) rows in files of a million, by turns through `fugo issue` and through the inbox of a
running `fugod`, into two ledgers that grow alike. The daemon's time runs from the file's final name in the
inbox until its answers are in the outbox and the request is destroyed; the command's includes opening
the token.

| run | seconds | rows a second |
| --- | --- | --- |
| `fugo issue` | \($r.daemon.command_seconds | round_to(2)) | \($r.daemon.command_rows_per_second | group) |
| `fugod` | \($r.daemon.daemon_seconds | round_to(2)) | \($r.daemon.daemon_rows_per_second | group) |

Idle, `fugod` took \($r.daemon.idle_cpu_part * 100 | round_to(3)) % of one core.
" else "" end)
+ (if $r.link then link_section($r.link) else "" end)
+ (if $r.regenerate then regenerate_section($r.regenerate) else "" end)
+ "
## The parts

Medians of five repetitions, by the wall clock.

| what | one thread | two threads | unit |
| --- | --- | --- | --- |
" + ([64, 256, 1024] | map(. as $kib | "| raw `C_Encrypt`, \($kib) KiB a call | \(both("token/C_Encrypt/kib:\($kib)"; .items_per_second | millions)) | blocks |\n") | join(""))
+ "| derive: L, V and S of a resident | \(both("symbols/derive"; .items_per_second | millions)) | residents |
| the same, as blocks | \(both("symbols/derive"; .blocks_per_second | millions)) | blocks |
| one `C_Sign` HMAC-SHA-256 a call | \(both("token/C_Sign_HMAC"; .items_per_second | per_second)) | symbols |
| `cmac-ff-aes256` by OpenSSL, no token | \(both("openssl/cmac-ff"; .items_per_second | millions)) | symbols |
| sealing blocks of the ledger (AES-256-GCM) | \($r.parts["ledger/seal_block"].bytes_per_second / 1e6 | round | group) MB/s | | |
| looking people up, 1 M sorted in 4 M | \($r.parts["ledger/find_people"].items_per_second | millions) | | people |

What bounds them: a call into the token costs much the same whatever its size, so one symbol a call
is bounded by calls and bulk calls by AES. Raw calls encrypt one buffer that stays in the cache;
`derive` also reads codes and writes L, V and S in memory, makes the blocks, adds label masks and the
feed-forward, moves everything through wiped buffers, and compares the known block of every call.
Sealing is bounded by AES-GCM and one call of OpenSSL for each block of 1 KB; a look-up by opening the
sealed blocks that the sorted queries touch.

## How to measure again

`./run bench` on an otherwise idle machine; `bench/bench.sh build --p3 --link` adds the
ledgers of 10 and 100 million, and linking. The benchmarks refuse a build with assertions or sanitizers. The numbers behind this page are in
`build/bench/report.json`."
