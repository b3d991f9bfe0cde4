#!/usr/bin/env bash
# A run over two hosts on one machine: two network namespaces with a name and a Ray node each.
#   sudo tools/two_hosts.sh FOLDER [OPTIONS OF hipart-search run]
# Workspace and results lie in FOLDER. Without --store both hosts see the workspace's own.
set -euo pipefail
folder=$(mkdir -p "$1" && realpath "$1")
shift
bin=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../.venv/bin")
alpha=10.77.0.1 beta=10.77.0.2
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$folder/ray_token" RAY_USAGE_STATS_ENABLED=0
export no_proxy="$alpha,$beta" HIPART_WORKSPACE="$folder/workspace"
(umask 077 && head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$RAY_AUTH_TOKEN_PATH")

on() { # on HOST COMMAND: as that host
    ip netns exec "hipart-$1" unshare --uts bash -c 'hostname "$0" && exec "$@"' "$1" "${@:2}"
}
clean() {
    for host in alpha beta; do
        ip netns pids "hipart-$host" 2>/dev/null | xargs -r kill -9 || true
        ip netns del "hipart-$host" 2>/dev/null || true
        rm -rf "/tmp/ray-$host"
    done
}
trap clean EXIT
clean
for host in alpha beta; do
    ip netns add "hipart-$host"
    ip -n "hipart-$host" link set lo up
done
ip -n hipart-alpha link add link0 type veth peer name link0 netns hipart-beta
ip -n hipart-alpha address add "$alpha/24" dev link0
ip -n hipart-beta address add "$beta/24" dev link0
for host in alpha beta; do ip -n "hipart-$host" link set link0 up; done

node() { # node HOST ADDRESS OPTIONS
    on "$1" "$bin/ray" start --block --node-ip-address="$2" --num-cpus=1 --num-gpus=0 \
        --temp-dir="/tmp/ray-$1" --disable-usage-stats "${@:3}" >"$folder/ray-$1.log" 2>&1 &
}
node alpha "$alpha" --head --port=6379 --include-dashboard=false
for _ in $(seq 60); do
    on alpha bash -c "exec 3<>/dev/tcp/$alpha/6379" 2>/dev/null && break
    sleep 0.5
done
node beta "$beta" --address="$alpha:6379"
sleep 5

cd "$folder"
on alpha "$bin/hipart-search" cluster check --address "$alpha:6379"
on alpha "$bin/hipart-search" run codebook_ablation --scale smoke --address "$alpha:6379" "$@"
on alpha "$bin/hipart-search" schedule codebook_ablation --scale smoke
