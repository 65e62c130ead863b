#!/usr/bin/env bash
# Has a recording of the collector diagnosed with `buf curl`, which asks the walker for the contract:
#   diagnose.sh https://walker.example:4310 RECORDING TOKEN_FILE [CA_FILE]
# The token goes through a pipe, since whoever lists processes sees command lines.
set -euo pipefail
url=$1 recording=$2 token_file=$3 ca=${4:-}

printf 'authorization: Bearer %s\n' "$(cat "$token_file")" |
    "${BUF:-buf}" curl --protocol grpc ${ca:+--cacert "$ca"} --header @- \
        --data "{\"source\": {\"recording\": \"$recording\"}}" "$url/automap.v1.WalkerService/Diagnose"
