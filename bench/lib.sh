# Functions that the scripts of this folder share. Sourced, not run.
# shellcheck shell=bash

# die TEXT: ends the script with one line.
die() {
  echo "${0##*/}: $*" >&2
  exit 1
}

now() { date +%s.%N; }

# elapsed START [END]: seconds with two decimals.
elapsed() { awk -v a="$1" -v b="${2:-$(now)}" 'BEGIN { printf "%.2f", b - a }'; }

# per_second COUNT SECONDS: a whole number.
per_second() { awk -v n="$1" -v s="$2" 'BEGIN { printf "%.0f", (s > 0 ? n / s : 0) }'; }

# grouped NUMBER: with commas.
grouped() { awk -v n="$1" 'BEGIN { while (length(n) > 3) { out = "," substr(n, length(n) - 2) out
  n = substr(n, 1, length(n) - 3) } print n out }'; }

# cpu_name: what /proc/cpuinfo calls the processor.
cpu_name() { sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1; }

# memory_gib: the machine's memory.
memory_gib() { awk '/^MemTotal:/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo; }

# touch_memory: writes to a quarter of the machine's memory once and gives it back. A virtual
# machine may get its memory from its host page by page, at the first touch; that is the host's
# cost, and it is paid here, before the clock starts, for everybody who is measured.
touch_memory() {
  local file
  file=$(mktemp /dev/shm/fugo-bench-XXXXXX) || return 0
  head -c "$(awk '/^MemAvailable:/ { printf "%.0f", $2 * 1024 / 4 }' /proc/meminfo)" /dev/zero \
    > "$file" 2>/dev/null || true
  rm -f "$file"
}
