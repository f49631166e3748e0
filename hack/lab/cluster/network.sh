# shellcheck shell=bash
# The network: a bridge in its own network namespace, together with the control plane. The host and each node connect
# to it through veth pairs.
#
#   host ── orca0 ──┐
#   node1..3 ── eth0┤ br0 in orca-control (API server, DNS: 10.99.0.2)
#
# Because the bridge is not in the host's namespace, the host forwards no packets: its ip_forward, firewall and ports
# (such as etcd's 2379) do not change, and a container engine's FORWARD policy does not affect the nodes.

in_netns() {
  local netns=$1
  shift
  nsenter --net="/run/netns/$netns" "$@"
}

# The first named namespace turns /run/netns into a mount, which would remain.
netns_add() {
  mountpoint -q /run/netns || echo 'mount /run/netns' >>"$HOST_CHANGES"
  ip netns add "$1"
  ip -n "$1" link set lo up
}

network_conflicts() {
  local route
  for route in "$NODE_NETWORK" "$SERVICE_NETWORK" "$POD_NETWORK"; do
    [[ -z $(ip -4 route show root "$route") ]] || die "the network $route is already in use on this machine: $(ip -4 route show root "$route" | head -n 1)"
  done
}

network_up() {
  local node
  netns_add "$CONTROL_NETNS"
  ip -n "$CONTROL_NETNS" link add br0 type bridge
  ip -n "$CONTROL_NETNS" address add "$CONTROL_ADDRESS/24" dev br0
  ip -n "$CONTROL_NETNS" link set br0 up
  ip link add "$HOST_LINK" type veth peer name host netns "$CONTROL_NETNS"
  ip -n "$CONTROL_NETNS" link set host master br0 up
  ip address add "$HOST_ADDRESS/24" dev "$HOST_LINK"
  ip link set "$HOST_LINK" up
  for node in "${NODES[@]}"; do
    ip route replace "$(node_pods "$node")" via "$(node_address "$node")"
    # The API server calls webhooks in pods.
    ip -n "$CONTROL_NETNS" route replace "$(node_pods "$node")" via "$(node_address "$node")"
  done
}

node_network_up() {
  local node=$1 netns other
  netns=$(node_netns "$node")
  netns_add "$netns"
  ip link add eth0 netns "$netns" type veth peer name "node$node" netns "$CONTROL_NETNS"
  ip -n "$CONTROL_NETNS" link set "node$node" master br0 up
  ip -n "$netns" address add "$(node_address "$node")/24" dev eth0
  ip -n "$netns" link set eth0 up
  ip -n "$netns" route add default via "$HOST_ADDRESS"
  in_netns "$netns" sysctl -qw net.ipv4.ip_forward=1
  for other in "${NODES[@]}"; do
    [[ $other == "$node" ]] || ip -n "$netns" route add "$(node_pods "$other")" via "$(node_address "$other")"
  done
}

# Host and control plane reach services through the kube-proxy of one running node.
route_services() {
  local node
  for node in "${NODES[@]}"; do
    process_alive "node$node" || continue
    ip route replace "$SERVICE_NETWORK" via "$(node_address "$node")"
    ip -n "$CONTROL_NETNS" route replace "$SERVICE_NETWORK" via "$(node_address "$node")"
    return
  done
}

node_network_down() {
  local netns
  netns=$(node_netns "$1")
  ip -n "$CONTROL_NETNS" link delete "node$1" 2>/dev/null || true
  [[ ! -e /run/netns/$netns ]] || ip netns delete "$netns"
}

# Deleting the host's end of the link deletes its routes.
network_down() {
  local node
  for node in "${NODES[@]}"; do node_network_down "$node"; done
  ip link delete "$HOST_LINK" 2>/dev/null || true
  [[ ! -e /run/netns/$CONTROL_NETNS ]] || ip netns delete "$CONTROL_NETNS"
}
