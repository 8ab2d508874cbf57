#!/usr/bin/env bash
# How many instructions each step of the request path takes: benches/instructions.sh [--as-tested] [--beside TABLE] [PART OF A NAME]
#
# Prints a table; with --beside, beside the table of another commit that was kept in a file, and what has changed.
# --as-tested counts in a build without optimisation, as tests have it: other numbers, of which a change tells the same, and in
# CI nearly all of it is built already. benches/INSTRUCTIONS.md is such a table:
#
#     benches/instructions.sh --as-tested >benches/INSTRUCTIONS.md
#
# Unlike time it is the same on every run and on a busy machine, but for the steps of files and of the limiter's tables, which
# differ by 2 % from run to run. Each step is taken 100 times and 300 times under valgrind, a hostile one, which takes far more,
# 10 times and 30; the difference leaves out what comes before the first.
set -euo pipefail

fail() { echo "benches/instructions.sh: $*" >&2; exit 1; }

build=(cargo bench)
if [[ ${1:-} == --as-tested ]]; then
    build=(cargo test)
    shift
fi
beside=
if [[ ${1:-} == --beside ]]; then
    beside=$(realpath -- "${2:-}") && [[ -r $beside ]] || fail "no table to stand beside: ${2:-}"
    shift 2
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v valgrind >/dev/null; then
    as_root=()
    if (( EUID )); then
        command -v sudo >/dev/null || fail "needs valgrind, and is neither root nor has sudo"
        as_root=(sudo)
    fi
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends valgrind >&2
fi

program=$("${build[@]}" --locked --no-run --bench instructions --message-format=json 2>/dev/null |
    sed -n 's/.*"name":"instructions".*"executable":"\([^"]*\)".*/\1/p') || true
[[ -x $program ]] || fail "the bench does not build: ${build[*]} --no-run --bench instructions"

# NAME TIMES: the instructions of all, from the start of the program.
counted() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1 >/dev/null |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

# NAME: its row.
row() {
    local once=100 few many now before change
    [[ $1 != */hostile:* ]] || once=10
    few=$(counted "$1" "$once")
    many=$(counted "$1" $(( once * 3 )))
    now=$(( (many - few) / (once * 2) ))
    if [[ ! $beside ]]; then
        echo "| $1 | $now |"
        return
    fi
    before=$(grep -F -- "| $1 |" "$beside" | head -1 | sed 's/ |$//; s/.*| //' || true)
    change=$([[ $before =~ ^[1-9][0-9]*$ ]] && awk "BEGIN { printf \"%+.1f %%\", ($now - $before) * 100 / $before }" || true)
    echo "| $1 | $before | $now | $change |"
}

if [[ $beside ]]; then
    echo "| step | before | now | change |"
    echo "| --- | ---: | ---: | ---: |"
else
    echo "| step | instructions |"
    echo "| --- | ---: |"
fi
export program beside
export -f counted row
# As many at a time as there are processors, and each row where it belongs.
"$program" | grep -F -- "${1:-}" | nl -w1 -s' ' |
    xargs -d '\n' -P "$(nproc)" -I{} bash -O inherit_errexit -euo pipefail -c '
        line=$1
        told=$(row "${line#* }")
        echo "${line%% *} $told"
    ' _ {} |
    sort -n | cut -d' ' -f2-
