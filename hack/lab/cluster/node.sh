# shellcheck shell=bash
# A node: containerd, kubelet and kube-proxy in their own network, mount, pid and UTS namespaces (see node-init).
# Killing the first process of the pid namespace simulates a power loss: the kernel kills every process of the node
# and removes its mounts.

write_cni_config() {
  local ranges routes
  ranges="[{\"subnet\": \"$(node_pods "$1")\"}]"
  routes='{"dst": "0.0.0.0/0"}'
  if is_dual_stack; then
    ranges+=", [{\"subnet\": \"$(node_pods_6 "$1")\"}]"
    routes+=', {"dst": "::/0"}'
  fi
  mkdir -p "$2/cni.d"
  cat >"$2/cni.d/10-pods.conflist" <<JSON
{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [
    {
      "type": "ptp",
      "ipMasq": false,
      "mtu": 1500,
      "ipam": {
        "type": "host-local",
        "ranges": [$ranges],
        "routes": [$routes],
        "dataDir": "/var/lib/cni/networks"
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}, "snat": true}
  ]
}
JSON
}

# The version 2 format: containerd 1.x requires it, 2.x migrates it. Without restrict_oom_score_adj, containers would
# not start on a machine without CAP_SYS_RESOURCE; without the hugetlb settings, on one without that controller.
write_containerd_config() {
  cat >"$1/containerd.toml" <<TOML
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$PAUSE_IMAGE"
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${ITEM_PATH[node-packages]}/root/usr/lib/cni"
    conf_dir = "$1/cni.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "${ITEM_PATH[node-packages]}/bin/runc"
      SystemdCgroup = false
TOML
}

# KubeletInUserNamespace: kubelet tolerates sysctls and limits that it may not set.
write_kubelet_config() {
  cat >"$2/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $(node_address "$1")
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $PKI_DIR/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: $PKI_DIR/node$1.crt
tlsPrivateKeyFile: $PKI_DIR/node$1.key
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
volumePluginDir: /var/lib/kubelet/volume-plugins
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP_NAME/node$1
failCgroupV1: false
failSwapOn: false
featureGates: {KubeletInUserNamespace: true}
clusterDNS: [$CONTROL_ADDRESS]
clusterDomain: cluster.local
resolvConf: ""
nodeStatusUpdateFrequency: 4s
nodeLeaseDurationSeconds: 12
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
imageGCHighThresholdPercent: 100
enforceNodeAllocatable: [pods]
serializeImagePulls: false
shutdownGracePeriod: 0s
YAML
}

# The conntrack limits are machine-wide: zero keeps them unchanged.
write_proxy_config() {
  cat >"$2/proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $PKI_DIR/proxy.kubeconfig}
hostnameOverride: node$1
mode: iptables
clusterCIDR: $(both "$POD_NETWORK" "$POD_NETWORK_6")
bindAddress: 0.0.0.0
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
iptables: {minSyncPeriod: 0s}
YAML
}

# Creates the mount points that the machine lacks, and records them for `down` to remove.
node_mount_points() {
  local folder
  for folder in /var/lib/kubelet /var/lib/containerd /var/lib/cni /var/log/pods /var/log/containers /run/containerd; do
    [[ -d $folder ]] && continue
    mkdir "$folder"
    echo "folder $folder" >>"$HOST_CHANGES"
  done
}

node_up() {
  local node=$1 dir
  dir=$(node_dir "$node")
  mkdir -p "$dir"/{kubelet,containerd,cni,log/pods,log/containers,sysctl}
  write_cni_config "$node" "$dir"
  write_containerd_config "$dir"
  write_kubelet_config "$node" "$dir"
  write_proxy_config "$node" "$dir"
  node_mount_points
  node_network_up "$node"
  # A separate leaf for the processes of the node: in version 2, a group that delegates controllers to its children
  # (the pods) must not contain processes.
  cgroup_create "node$node/system"
  cgroup_weigh
  spawn "node$node" "node$node/system" unshare \
    env NODE_NAME="node$node" NODE_ZONE="zone$node" NODE_ADDRESSES="$(both "$(node_address "$node")" "$(node_address_6 "$node")")" NODE_DIR="$dir" LOG_DIR="$LOG_DIR" \
    NODE_KUBECONFIG="$PKI_DIR/node$node.kubeconfig" NODE_IMAGES="${ITEM_PATH[pause]}/pause.tar" \
    nsenter --net="/run/netns/$(node_netns "$node")" \
    unshare --mount --uts --pid --fork --mount-proc --kill-child "$HACK_DIR/lab/cluster/node-init"
}

# Power loss.
node_down() {
  local node=$1 pid tries
  if pid=$(process_pid "node$node"); then
    kill -KILL "$pid" 2>/dev/null || true
    for ((tries = 0; tries < 50; tries++)); do
      process_alive "node$node" || break
      sleep 0.1
    done
  fi
  cgroup_remove "node$node"
  rm -f "$PID_DIR/node$node"
  node_network_down "$node"
}

# node_init_pid N: prints the host's pid of the first process of the node's pid namespace.
node_init_pid() {
  local pid
  pid=$(process_pid "node$1") || return 1
  pgrep -P "$pid" | head -n 1
}

# node_exec N COMMAND...
node_exec() {
  local pid
  pid=$(node_init_pid "$1") || die "node $1 is not up"
  shift
  nsenter --target "$pid" --mount --net --uts --pid -- "$@"
}

node_parts_alive() {
  local part
  for part in containerd kubelet kube-proxy; do
    node_exec "$1" pgrep -x "$part" >/dev/null || {
      echo "$part of node $1 is not running"
      return 1
    }
  done
}

node_is_ready() {
  [[ $(kube get node "node$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}') == True ]]
}

nodes_ready() {
  local node
  for node in "$@"; do node_is_ready "$node" || return 1; done
}
