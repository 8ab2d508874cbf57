#!/usr/bin/env bash
# How many instructions each step of the request path takes: benches/instructions.sh [--beside TABLE] [PART OF A NAME]
#
# Prints a table; with --beside, beside the table of another commit that was kept in a file, and what has changed.
#
# Unlike time it is the same on every run and on a busy machine, so a change of a few per cent is a change. Each step is
# taken 100 times and 300 times under valgrind; the difference leaves out what comes before the first.
set -euo pipefail

fail() { echo "benches/instructions.sh: $*" >&2; exit 1; }

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

program=$(cargo bench --locked --no-run --bench instructions --message-format=json 2>/dev/null |
    sed -n 's/.*"name":"instructions".*"executable":"\([^"]*\)".*/\1/p')
[[ -x $program ]] || fail "the bench does not build: cargo bench --no-run --bench instructions"

counted() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1 >/dev/null |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

if [[ $beside ]]; then
    echo "| step | before | now | change |"
    echo "| --- | ---: | ---: | ---: |"
else
    echo "| step | instructions |"
    echo "| --- | ---: |"
fi
"$program" | grep -F -- "${1:-}" | while read -r name; do
    few=$(counted "$name" 100)
    many=$(counted "$name" 300)
    now=$(( (many - few) / 200 ))
    if [[ $beside ]]; then
        before=$(grep -F -- "| $name |" "$beside" | head -1 | sed 's/ |$//; s/.*| //' || true)
        change=$([[ $before =~ ^[1-9][0-9]*$ ]] && awk "BEGIN { printf \"%+.1f %%\", ($now - $before) * 100 / $before }" || true)
        echo "| $name | $before | $now | $change |"
    else
        echo "| $name | $now |"
    fi
done
