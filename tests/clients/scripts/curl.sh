#!/usr/bin/env bash
# What people paste from a provider's documents.
set -uo pipefail

check() { # NAME WANTED SAID
    if [[ $3 == *"$2"* ]]; then
        printf '{"check": "%s", "error": ""}\n' "$1"
    else
        printf '{"check": "%s", "error": "%s is missing"}\n' "$1" "$2"
        printf '%s\n' "$3" >&2
    fi
}

body='{"model": "'$CHECK_MODEL'", "messages": [{"role": "user", "content": "Hello"}]'
ask() {
    curl -sS -i --max-time 20 "$CHECK_BASE/v1/$1" -H "Authorization: Bearer $CHECK_KEY" "${@:2}"
}

check says_it_whole "Hello from the scripted upstream." "$(ask chat/completions -H 'Content-Type: application/json' -d "$body}")"
check says_it_in_pieces "data: [DONE]" "$(ask chat/completions -N -H 'Content-Type: application/json' -d "$body, \"stream\": true}")"
check expects_before_it_sends "HTTP/1.1 200" "$(ask chat/completions -H 'Expect: 100-continue' -H 'Content-Type: application/json' -d "$body}" | grep -a '200')"
check transcribes "Hello from the scripted upstream." "$(ask audio/transcriptions -F "model=$CHECK_MODEL" -F "file=@$0;filename=a.wav")"
check lists_models '"object"' "$(ask models)"
