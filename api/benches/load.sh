#!/usr/bin/env bash
# What `anamnesis serve` bears, beside FastAPI services of the same arms (peer_retrieve.py), as Markdown for BENCHMARKS.md.
#
#   load.sh retrieve|ask|memory|all ANAMNESIS HOME QUERIES.jsonl.gz
#
# retrieve  POST /v1/retrieve, ours and each peer by turns, at each number of connections; medians of the rounds
# ask       POST /v1/ask by turns: checked by rules, and with a scorer beside them if JUDGE names one
# memory    POST /v1/retrieve and /v1/ask at once, 8 connections each: the first and the last minute
#
# ANAMNESIS is the release binary, HOME a home with an index (it is copied: asking keeps traces), QUERIES a BEIR file.
# Environment: LOAD the built example (target/release/examples/load), PYTHON one that has what peer_retrieve.py needs,
# PEER_INDEX the folder that `peer_retrieve.py --build` wrote, PEERS as WORDS[:PROCESSES] ("numpy numba numba:2"), JUDGE,
# ROUNDS (5), EACH seconds a turn (10), WARM_UP (2), CONNECTIONS ("1 16 64"), ASK_CONNECTIONS ("1 16"), MINUTES (10),
# PORT the first of those used (18100), TMPDIR. Load and services share the machine's cores; nothing else should.
set -euo pipefail

[[ $# -eq 4 && $1 =~ ^(retrieve|ask|memory|all)$ ]] || { sed -n '2,/^set/{/^set/d;s/^#[ ]\{0,1\}//p}' "$0" >&2; exit 2; }
what=$1 binary=$2 home=$3 queries=$4
here=$(dirname "$(readlink -f "$0")")
load=${LOAD:-$here/../../target/release/examples/load} python=${PYTHON:-python3} port=${PORT:-18100}
rounds=${ROUNDS:-5} each=${EACH:-10} warm_up=${WARM_UP:-2} minutes=${MINUTES:-10}
[[ -x $load ]] || { echo "$load is missing: cargo build --release --example load" >&2; exit 2; }

folder=$(mktemp -d)
declare -A url pid
trap '[[ ${#pid[@]} -eq 0 ]] || kill "${pid[@]}" 2>/dev/null || true; wait; rm -rf "$folder"' EXIT

# start NAME PATH COMMAND..: COMMAND listens on $port
start() {
    local name=$1 path=$2
    shift 2
    "$@" >"$folder/$name.log" 2>&1 &
    pid[$name]=$!
    until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        kill -0 "${pid[$name]}" 2>/dev/null || { cat "$folder/$name.log" >&2; exit 1; }
        sleep 0.2
    done
    url[$name]=http://127.0.0.1:$port$path
    port=$((port + 1))
}

stop() {
    kill "${pid[@]}"
    wait
    pid=() url=()
}

serve() { # NAME PATH OPTIONS..
    local name=$1 path=$2
    shift 2
    start "$name" "$path" "$binary" --home "$folder/home" serve --listen "127.0.0.1:$port" "$@"
}

# by_turns BODIES CONNECTIONS NAME..: one line of results for each turn
by_turns() {
    local bodies=$1 connections=$2 round count name
    shift 2
    for round in $(seq "$rounds"); do
        for count in $connections; do
            for name in "$@"; do
                "$load" "${url[$name]}" "$folder/$bodies" --connections "$count" --seconds "$each" \
                    --warm-up "$warm_up" --pid "${pid[$name]}" |
                    sed "s/^{/{\"name\":\"$name\",\"round\":$round,/" >>"$folder/results"
            done
        done
        echo "round $round of $rounds, load average $(cut -d' ' -f1 /proc/loadavg)" >&2
    done
}

rows() { # FIRST: the name that the others are compared with
    "$python" - "$folder/results" "$1" <<'PY'
import json
import sys
from collections import defaultdict
from statistics import median

path, first = sys.argv[1:]
shown = lambda number: f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
turns = defaultdict(dict)
with open(path) as lines:
    for turn in map(json.loads, lines):
        turns[turn["connections"], turn["name"]][turn["round"]] = turn
print(f"| connections | | requests a second | p50 ms | p90 ms | p99 ms | resident MB | errors | {first}, times |")
print("|---|---|---|---|---|---|---|---|---|")
for (connections, name), own in turns.items():
    values = lambda field: [turn[field] for turn in own.values() if turn[field] is not None] or [float("nan")]
    rate = values("rps")
    cells = [f"{shown(median(rate))} ({shown(min(rate))} to {shown(max(rate))})"]
    cells += [shown(median(values(field))) for field in ("p50_ms", "p90_ms", "p99_ms")]
    # of several processes only the parent is watched
    resident = median(turn["memory"]["resident"]["last_mb"] or 0 for turn in own.values())
    cells += ["" if ":" in name else f"{resident:.0f}", str(sum(values("errors")))]
    ours = turns[connections, first]
    ratios = [ours[at]["rps"] / own[at]["rps"] for at in own if at in ours and own[at]["rps"]]
    compared = f"**{median(ratios):.2f}x** ({min(ratios):.2f} to {max(ratios):.2f})" if name != first and ratios else ""
    print(f"| {connections} | {name} | {' | '.join(cells)} | {compared} |")
print()
PY
    rm "$folder/results"
}

retrieve() {
    local peer names=(ours)
    serve ours /v1/retrieve
    for peer in ${PEERS-numpy numba}; do
        local words=${peer%%:*} processes=1
        [[ $peer == *:* ]] && processes=${peer#*:}
        start "$peer" /retrieve "$python" "$here/peer_retrieve.py" "${PEER_INDEX:?the folder of the peer\'s index}" \
            --port "$port" --words "$words" --workers "$processes"
        names+=("$peer")
    done
    # a service of several processes listens before they are ready
    sleep 15
    by_turns retrieve "${CONNECTIONS:-1 16 64}" "${names[@]}"
    echo "/v1/retrieve, k 10, $rounds rounds of $each s by turns; the peers by what bm25s computes with, and processes:"
    echo
    rows ours
    stop
}

ask() {
    local names=(rules)
    serve rules /v1/ask
    if [[ -n ${JUDGE:-} ]]; then
        serve scorer /v1/ask --judge "$JUDGE"
        names+=(scorer)
    fi
    by_turns ask "${ASK_CONNECTIONS:-1 16}" "${names[@]}"
    echo "/v1/ask, extractive, $rounds rounds of $each s by turns, by what checks the answers:"
    echo
    rows rules
    stop
}

memory() {
    serve ours /v1
    local seconds=$((minutes * 60)) asking=
    "$load" "${url[ours]}/ask" "$folder/ask" --connections 8 --seconds "$seconds" --warm-up 30 >"$folder/asked" &
    asking=$!
    "$load" "${url[ours]}/retrieve" "$folder/retrieve" --connections 8 --seconds "$seconds" --warm-up 30 \
        --pid "${pid[ours]}" >"$folder/retrieved"
    wait "$asking"
    echo "$minutes min of /v1/retrieve and /v1/ask at once, 8 connections each:"
    echo
    "$python" - "$folder/retrieved" "$folder/asked" <<'PY'
import json
import sys

retrieved, asked = (json.load(open(path)) for path in sys.argv[1:])
print("| memory of the service | first minute, MB | last minute, MB | growth | aim |\n|---|---|---|---|---|")
for name, seen in sorted(retrieved["memory"].items(), reverse=True):
    print(f"| {name} | {seen['first_mb']} | {seen['last_mb']} | {seen['growth']:+.1%} | under 5% |")
for path, seen in ("retrieve", retrieved), ("ask", asked):
    print(f"\n/v1/{path}: {seen['requests']} requests, {seen['rps']} a second, p99 {seen['p99_ms']} ms, {seen['errors']} errors {seen['why'] or ''}")
PY
    stop
}

cp -r "$home" "$folder/home"
"$python" - "$queries" "$folder" <<'PY'
import gzip
import json
import sys

with gzip.open(sys.argv[1], "rt") as lines:
    questions = [json.loads(line)["text"] for line in lines]
for name, body in ("retrieve", lambda text: {"query": text, "k": 10}), ("ask", lambda text: {"question": text}):
    with open(f"{sys.argv[2]}/{name}", "w") as bodies:
        bodies.writelines(json.dumps(body(text)) + "\n" for text in questions)
PY
echo "$(nproc) cores of $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), load average $(cut -d' ' -f1-3 /proc/loadavg) at the start"
echo
for part in ${what/all/retrieve ask memory}; do $part; done
