#!/usr/bin/env bash
# A run over two hosts on one machine: two network namespaces with a name and a Ray node each.
#   sudo tools/two_hosts.sh FOLDER [OPTIONS OF hipart-search run]
# Workspace and results lie in FOLDER. Without HIPART_STORE both hosts see the workspace's own store.
# BIN is where ray and hipart-search are. Exit status 1 unless both hosts did some of the jobs.
set -euo pipefail
folder=$(mkdir -p "$1" && realpath "$1")
shift
bin=$(realpath "${BIN:-$(dirname "${BASH_SOURCE[0]}")/../.venv/bin}")
own=$(mktemp -d)
alpha=10.77.0.1 beta=10.77.0.2 head=10.77.0.1:6379
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$own/token" RAY_USAGE_STATS_ENABLED=0
export no_proxy="$alpha,$beta" HIPART_WORKSPACE="$folder/workspace"
(umask 077 && head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$RAY_AUTH_TOKEN_PATH")

space() { echo "hipart-$1-$$"; }
on() { # on HOST COMMAND: as that host; waited for in a way that signals interrupt
    ip netns exec "$(space "$1")" \
        unshare --uts bash -c 'hostname "$0" && exec "$@"' "$1" "${@:2}" &
    wait $!
}
clean() {
    for host in alpha beta; do
        while pids=$(ip netns pids "$(space "$host")" 2>/dev/null) && [ -n "$pids" ]; do
            kill -9 $pids 2>/dev/null || true
            sleep 0.1
        done
        ip netns del "$(space "$host")" 2>/dev/null || true
    done
    rm -rf "$own"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
for host in alpha beta; do
    ip netns add "$(space "$host")"
    ip -n "$(space "$host")" link set lo up
done
ip -n "$(space alpha)" link add link0 type veth peer name link0 netns "$(space beta)"
for host in alpha beta; do
    ip -n "$(space "$host")" address add "${!host}/24" dev link0
    ip -n "$(space "$host")" link set link0 up
done

node() { # node HOST OPTIONS
    on "$1" "$bin/ray" start --node-ip-address="${!1}" --num-cpus=1 --num-gpus=0 \
        --temp-dir="$own/$1" --disable-usage-stats "${@:2}" >"$folder/ray-$1.log" 2>&1 ||
        { cat "$folder/ray-$1.log" >&2 && exit 1; }
}
node alpha --head --port=6379 --include-dashboard=false
node beta --address="$head"

cd "$folder"
on alpha "$bin/hipart-search" cluster check --address "$head"
on alpha "$bin/hipart-search" run codebook_ablation --scale smoke --address "$head" "$@"
on alpha "$bin/hipart-search" schedule codebook_ablation --scale smoke | tee schedule.txt
for host in alpha beta; do
    grep -q "^ *$host " schedule.txt || { echo "$host did none of the jobs" >&2 && exit 1; }
done
