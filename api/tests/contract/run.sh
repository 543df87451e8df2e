#!/usr/bin/env bash
# The service held against its own description: schemathesis sends what the OpenAPI document allows and what it
# forbids, for a while, and every answer must be one that the document tells of, and never a failure inside.
#
#   run.sh ANAMNESIS [MINUTES]
#
# ANAMNESIS is the built binary, MINUTES how long (10). A home with a key, documents, an answer, a run of training and
# a job is made for it and removed. What is excused is in exclusions.py, each with its reason. It needs curl.
# Environment: SCHEMATHESIS the command (without it one is put into target/clients from PyPI), SEED (a new one each
# time, which is shown), REPORT a folder for reports, TMPDIR.
set -euo pipefail

[[ $# -ge 1 && $# -le 2 && ${2:-10} =~ ^[0-9]+$ ]] || { sed -n '2,/^set/{/^set/d;s/^#[ ]\{0,1\}//p}' "$0" >&2; exit 2; }
binary=$(readlink -f "$1") minutes=${2:-10} seed=${SEED:-$RANDOM}
here=$(dirname "$(readlink -f "$0")")
command -v curl >/dev/null || { echo "curl is missing" >&2; exit 3; }
# resident memory at the end, beyond what the service held before
most_mib=384

if [[ -z ${SCHEMATHESIS:-} ]]; then
    venv=$here/../../../target/clients
    python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --retries 1 "schemathesis>=4.32,<5" ||
        { echo "no Python that can have schemathesis here: name one in SCHEMATHESIS" >&2; exit 3; }
    SCHEMATHESIS=$venv/bin/schemathesis
fi

folder=$(mktemp -d)
service=
trap '[[ -z $service ]] || kill "$service" 2>/dev/null || true; wait; rm -rf "$folder"' EXIT
fail() { echo "$1" >&2; tail -n 40 "$folder/log" >&2; exit 1; }

home=$folder/home
key=$("$binary" --home "$home" key create contract --role admin)
mkdir -p "$home/runs/toy/traces"
cat >"$home/runs/toy/journal.jsonl" <<'JSONL'
{"kind":"start","at":"2026-01-01T00:00:00Z","step":0,"steps":2,"stage":"grpo","parameters":1,"samples":2,"tokens":3,"heldout":1,"forecast_bytes":5,"peak_bytes":null}
{"kind":"step","step":1,"stage":"grpo","epoch":0.5,"loss":0.5,"gradient_norm":null,"learning_rate":0.1,"skipped":false,"tokens":9,"learnt":3,"seconds":0.25,"values":{"reward":0.5}}
{"kind":"end","step":2,"seconds":1.0}
JSONL
echo '{"step":1,"question":"q","trace":{"segments":[]}}' >"$home/runs/toy/traces/step-00000001.jsonl"

"$binary" --home "$home" --json serve --listen 127.0.0.1:0 --wrong-keys 1000000 --timeout-ms 20000 \
    >"$folder/told" 2>"$folder/log" &
service=$!
for _ in $(seq 600); do
    grep -q listening "$folder/told" && break
    kill -0 "$service" 2>/dev/null || fail "the service ended before it listened"
    sleep 0.2
done
url=$(sed -n 's/.*"listening":"\([^"]*\)".*/\1/p' "$folder/told")
[[ -n $url ]] || fail "the service does not listen"

# ask PATH [BODY]: an answer, which must be a success
ask() {
    curl --silent --show-error --fail --max-time 60 --header "authorization: Bearer $key" \
        ${2:+--header content-type:application/json --data "$2"} "$url$1"
}
resident() { awk '/^VmRSS:/ { print int($2 / 1024) }' "/proc/$service/status" 2>/dev/null || echo 0; }
question='{"question":"What lowers blood pressure 7?"}'

# documents of its own: the starter corpus leaves when the first others come
content=
line='{\"id\":\"N\",\"title\":\"Drug N\",\"text\":\"Drug N lowers blood pressure N.\"}\n'
for number in $(seq 40); do content+=${line//N/$number}; done
ask /v1/documents '{"collection":"toy","format":"jsonl","reason":"a contract","content":"'"$content"'"}' >"$folder/added"
ask /v1/snapshots '{"encoder":"static"}' >"$folder/job"
for _ in $(seq 300); do
    ask /v1/jobs | grep -q '"state":"\(queued\|running\)"' || break
    sleep 0.2
done
job=$(sed 's/.*"id":"\([^"]*\)".*/\1/' "$folder/job")
ask "/v1/jobs/$job" | grep -q '"state":"done"' || fail "no snapshot was built"
sleep 2 # until it answers
ask /v1/ask "$question" >"$folder/answer"
ask /v1/documents >"$folder/documents"
before=$(resident)

echo "schemathesis for $minutes min, seed $seed"
status=0
# its own database would bring back what an earlier run has found
(cd "$folder" && PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1 CONTRACT_KNOWN=$folder "$SCHEMATHESIS" \
    --config-file "$here/schemathesis.toml" run "$url/openapi.json" --header "Authorization: Bearer $key" \
    --max-time $((minutes * 60)) --seed "$seed" --request-timeout 60 --wait-for-schema 10 --no-color \
    --generation-database none ${REPORT:+--report junit,ndjson --report-dir "$REPORT"}) || status=$?

kill -0 "$service" 2>/dev/null || fail "the service ended"
ask /readyz >"$folder/ready" || fail "the service is not ready any more"
ask /v1/ask "$question" >"$folder/answer" || fail "the service does not answer any more"
after=$(resident)
echo "resident memory: $before MiB before, $after MiB after, at most $((before + most_mib)) MiB allowed"
((after <= before + most_mib)) || fail "the service holds too much memory"
! grep -aq ' ERROR \|panicked' "$folder/log" || { grep -a ' ERROR \|panicked' "$folder/log" >&2; fail "something failed inside"; }
((status == 0)) || fail "the service and its description disagree (seed $seed): see above"
