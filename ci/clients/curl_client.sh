#!/usr/bin/env bash
# curl -N, looked at byte by byte: what is on the wire, and nothing an SDK would forgive.
#
#     ci/clients/curl_client.sh http://127.0.0.1:8080
set -euo pipefail

base=${1:?usage: curl_client.sh http://127.0.0.1:8080}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
passed=0
failed=0

check() { # NAME COMMAND…
    local name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok $name"
    else
        failed=$((failed + 1))
        echo "FAILED $name: $*"
    fi
}

# The status goes to stdout, the head and the body to files.
ask() { # PATH JSON
    curl -sS -N --max-time 120 -D "$folder/head" -o "$folder/body" -w '%{http_code}' "$base$1" -d "$2"
}

has_header() { grep -qiE "^$1"$'\r?$' "$folder/head"; }
status_is() { [ "$status" = "$1" ]; }
body_has() { grep -qF -- "$1" "$folder/body"; }
no_carriage_returns() { ! grep -q $'\r' "$folder/body"; }
only_sse_fields() { ! grep -qvE '^(data: .+|id: .+|:.*|)$' "$folder/body"; }
# A blank line ends an event that has data, and is sent for nothing else: some SDKs read an event without data there.
blank_lines_end_data() {
    awk '/^$/ { if (!data) bad = 1; data = 0; next } /^data: / { data = 1 } END { exit bad || data }' "$folder/body"
}
last_data_is() { [ "$(grep '^data: ' "$folder/body" | tail -n 1)" = "data: $1" ]; }
ends_in_blank_line() { [ "$(tail -c 2 "$folder/body" | od -An -tx1 | tr -d ' \n')" = 0a0a ]; }

question='"messages":[{"role":"user","content":"hello"}],"max_tokens":16'

status=$(ask /v1/chat/completions "{\"model\":\"gpt-3.5-turbo\",\"stream\":true,$question}")
check "a stream has status 200" status_is 200
check "and the type of event streams" has_header 'content-type: text/event-stream(; charset=utf-8)?'
check "proxies are told not to buffer" has_header 'x-accel-buffering: no'
check "nor to cache" has_header 'cache-control: no-cache'
check "nothing is compressed" bash -c "! grep -qi '^content-encoding' '$folder/head'"
check "every request has an id" has_header 'x-request-id: .+'
check "lines end in LF" no_carriage_returns
check "every line is a field or a comment" only_sse_fields
check "a blank line ends an event with data, and only that" blank_lines_end_data
check "the last event is [DONE]" last_data_is '[DONE]'
check "which ends like every event" ends_in_blank_line
check "the finish reason came before" body_has '"finish_reason":"'

status=$(ask /v1/chat/completions "{\"model\":\"gpt-3.5-turbo\",$question}")
check "a whole answer has status 200" status_is 200
check "and is JSON" has_header 'content-type: application/json.*'
check "with the text of a message" body_has '"content":"'

status=$(ask /v1/chat/completions "{\"model\":\"gpt-3.5-turbo\",\"temperature\":\"hot\",$question}")
check "a value of the wrong type has status 400" status_is 400
check "and the error names the field" body_has '"param":"temperature"'

status=$(ask /v1/chat/completions "{\"model\":\"nobody\",$question}")
check "an unknown model has status 404" status_is 404

status=$(ask /v1/models '{}')
check "another method has status 405" status_is 405
check "and the allowed ones are named" has_header 'allow: GET, HEAD'

status=$(ask /v1/nothing '{}')
check "another path has status 404" status_is 404

status=$(curl -sS --max-time 10 -o "$folder/body" -w '%{http_code}' -H 'Host: evil.example' "$base/health")
check "a name that DNS was made to point here has status 403" status_is 403

status=$(curl -sS --max-time 10 -o "$folder/body" -w '%{http_code}' -H 'Origin: https://evil.example' "$base/v1/models")
check "so has a page of another origin" status_is 403

status=$(curl -sS --max-time 10 -o "$folder/body" -w '%{http_code}' "$base/health")
check "the server is healthy" status_is 200

echo "curl: $passed passed, $failed failed"
[ "$failed" = 0 ]
