#!/bin/sh
# measure.py between two network namespaces, each with an address of its own; as root, on Linux:
#   docs/graphs_many_processes/namespaces.sh
set -eu
here=$(dirname "$0")
clean() {
    ip netns delete structnet-first 2>/dev/null || true
    ip netns delete structnet-second 2>/dev/null || true
}
# Ends with an error where a namespace of this name is somebody else's.
ip netns add structnet-first
trap clean EXIT
ip netns add structnet-second
ip link add pair0 netns structnet-first type veth peer name pair1 netns structnet-second
ip -n structnet-first address add 10.77.0.1/24 dev pair0
ip -n structnet-second address add 10.77.0.2/24 dev pair1
for at in "structnet-first pair0" "structnet-second pair1"; do
    set -- $at
    ip -n "$1" link set lo up
    ip -n "$1" link set "$2" up
done
export WORLD_SIZE=2 MASTER_ADDR=10.77.0.1 MASTER_PORT=29500 OMP_NUM_THREADS=1
RANK=1 GLOO_SOCKET_IFNAME=pair1 ip netns exec structnet-second python "$here/measure.py" &
RANK=0 GLOO_SOCKET_IFNAME=pair0 ip netns exec structnet-first python "$here/measure.py"
wait
