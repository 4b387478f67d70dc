# From single results to one document with ratios: see report.sh.
def median: sort | .[length / 2 | floor];

($parts[0].benchmarks
 | map(select(.aggregate_name == "median"))
 | map({key: (.run_name | rtrimstr("/real_time")),
        value: {items_per_second: .items_per_second, blocks_per_second: .blocks_per_second,
                bytes_per_second: .bytes_per_second}})
 | from_entries) as $rates
| $first[0] as $first | $second[0] as $second
| (($second.ledger_bytes_after - $first.ledger_bytes_after) / $second.rows) as $bytes_an_issuance
| {
    machine: ($machine[0] + ($parts[0].context | {token, pkcs11_library, openssl, lmdb, compiler,
                                                  flags})),
    parts: $rates,
    whole: {first: $first, second: $second, verify: $verify[0]},
    postgres: $postgres,
    daemon: $daemon,
    link: $link,
    regenerate: $regenerate,
    ratios: {
      P1_of_raw_1: ($rates["symbols/derive/threads:1"].blocks_per_second
                    / $rates["token/C_Encrypt/kib:256/threads:1"].items_per_second),
      P1_of_raw_2: ($rates["symbols/derive/threads:2"].blocks_per_second
                    / $rates["token/C_Encrypt/kib:256/threads:2"].items_per_second),
      # Two symbols a resident, L and S; the check value comes on top.
      P1_times_sign_1: (2 * $rates["symbols/derive/threads:1"].items_per_second
                        / $rates["token/C_Sign_HMAC/threads:1"].items_per_second),
      P1_times_sign_2: (2 * $rates["symbols/derive/threads:2"].items_per_second
                        / $rates["token/C_Sign_HMAC/threads:2"].items_per_second),
      P2: (if $postgres then $first.rows_per_second / $postgres.residents_per_second else null end)
    },
    P7: {
      bytes_an_issuance: $bytes_an_issuance,
      bytes_a_resident: ($first.ledger_bytes_after / $first.people_new - $bytes_an_issuance)
    },
    P8: {anonymous_bytes_peak: ([$first, $second] | map(.anonymous_bytes_peak) | max)},
    P3: (if ($p3 | length) == 0 then null else
      ($p3 | map(select(.name | test("^p3-[0-9]+-[1-9]$")))
       | group_by(.name | split("-")[1] | tonumber)
       | map({people: (.[0].name | split("-")[1] | tonumber),
              microseconds_a_request: (map(.wall_seconds / .rows * 1e6) | median)})
      ) as $sizes
      | {sizes: $sizes,
         first_issue: ($p3 | map(select(.name | test("^p3-[0-9]+$")))),
         ratio: ($sizes[1].microseconds_a_request / $sizes[0].microseconds_a_request)} end)
  }
