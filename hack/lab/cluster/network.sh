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

# host_routes: prints the routes of this machine into the cluster's networks.
host_routes() {
  local network
  for network in "$NODE_NETWORK" "$SERVICE_NETWORK" "$POD_NETWORK"; do ip -4 route show root "$network"; done
  for network in "$NODE_NETWORK_6" "$SERVICE_NETWORK_6" "$POD_NETWORK_6"; do
    ip -6 route show root "$network" 2>/dev/null || true
  done
}

network_conflicts() {
  local found
  found=$(host_routes)
  [[ -z $found ]] || die "a network of the cluster is already in use on this machine: $(head -n 1 <<<"$found")"
}

# Whether this machine has IPv6 and its address translation, which kube-proxy needs for services.
has_ipv6() {
  [[ $(cat /proc/sys/net/ipv6/conf/all/disable_ipv6 2>/dev/null) == 0 ]] &&
    unshare --net ip6tables -t nat -S >/dev/null 2>&1
}

# address NETNS IPV4 IPV6 LINK: both are usable at once, without the detection of duplicates.
address() {
  ip -n "$1" address add "$2/24" dev "$4"
  ! is_dual_stack || ip -n "$1" address add "$3/64" dev "$4" nodad
}

# route_pods NODE COMMAND…: COMMAND is `ip` in a network namespace; adds the routes to the pods of the node.
route_pods() {
  local node=$1
  shift
  "$@" route replace "$(node_pods "$node")" via "$(node_address "$node")"
  ! is_dual_stack || "$@" -6 route replace "$(node_pods_6 "$node")" via "$(node_address_6 "$node")"
}

network_up() {
  local node
  netns_add "$CONTROL_NETNS"
  ip -n "$CONTROL_NETNS" link add br0 type bridge
  address "$CONTROL_NETNS" "$CONTROL_ADDRESS" "$CONTROL_ADDRESS_6" br0
  ip -n "$CONTROL_NETNS" link set br0 up
  ip link add "$HOST_LINK" type veth peer name host netns "$CONTROL_NETNS"
  ip -n "$CONTROL_NETNS" link set host master br0 up
  ip address add "$HOST_ADDRESS/24" dev "$HOST_LINK"
  ! is_dual_stack || ip address add "$HOST_ADDRESS_6/64" dev "$HOST_LINK" nodad
  ip link set "$HOST_LINK" up
  for node in "${NODES[@]}"; do
    route_pods "$node" ip
    # The API server calls webhooks in pods.
    route_pods "$node" ip -n "$CONTROL_NETNS"
  done
}

node_network_up() {
  local node=$1 netns other
  netns=$(node_netns "$node")
  netns_add "$netns"
  ip link add eth0 netns "$netns" type veth peer name "node$node" netns "$CONTROL_NETNS"
  ip -n "$CONTROL_NETNS" link set "node$node" master br0 up
  address "$netns" "$(node_address "$node")" "$(node_address_6 "$node")" eth0
  ip -n "$netns" link set eth0 up
  ip -n "$netns" route add default via "$HOST_ADDRESS"
  in_netns "$netns" sysctl -qw net.ipv4.ip_forward=1
  if is_dual_stack; then
    ip -n "$netns" -6 route add default via "$HOST_ADDRESS_6"
    in_netns "$netns" sysctl -qw net.ipv6.conf.all.forwarding=1
  fi
  for other in "${NODES[@]}"; do
    [[ $other == "$node" ]] || route_pods "$other" ip -n "$netns"
  done
}

# Host and control plane reach services through the kube-proxy of one node that is running and connected.
route_services() {
  local node
  for node in "${NODES[@]}"; do
    if ! process_alive "node$node" || ! node_is_connected "$node"; then continue; fi
    route_services_via "$node" ip
    route_services_via "$node" ip -n "$CONTROL_NETNS"
    return
  done
}

node_is_connected() { [[ $(ip -n "$CONTROL_NETNS" link show "node$1" up) ]]; }

route_services_via() {
  local node=$1
  shift
  "$@" route replace "$SERVICE_NETWORK" via "$(node_address "$node")"
  ! is_dual_stack || "$@" -6 route replace "$SERVICE_NETWORK_6" via "$(node_address_6 "$node")"
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
