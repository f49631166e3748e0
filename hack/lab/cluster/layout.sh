# shellcheck shell=bash
# shellcheck disable=SC2034 # read by the files that source this one
# Names, addresses and folders of the cluster. Every name visible in the kernel begins with "orca", which identifies
# the remains of a cluster.

CLUSTER_DIR=$CACHE_DIR/cluster
RUN_DIR=$CLUSTER_DIR/run # `down` deletes it
PID_DIR=$RUN_DIR/pids
LOG_DIR=$RUN_DIR/logs
PKI_DIR=$RUN_DIR/pki
# What `up` added to the machine and `down` must remove. It is outside the run folder, to survive its loss.
HOST_CHANGES=$CLUSTER_DIR/host-changes
KUBECONFIG_FILE=$RUN_DIR/kubeconfig
# One cluster per machine, whichever cache folder it uses.
CLUSTER_LOCK=$MACHINE_LOCK_DIR/orcacache-cluster
# Contains the path of the state folder of this machine's cluster, which may be in another cache folder.
OWNER_FILE=/run/orcacache-cluster

NODES=(1 2 3)
NODE_NETWORK=10.99.0.0/24
HOST_ADDRESS=10.99.0.1
CONTROL_ADDRESS=10.99.0.2
SERVICE_NETWORK=10.96.0.0/16
POD_NETWORK=10.244.0.0/16
# A second address of each node, pod and service, if the machine has IPv6. The networks are unique local ones (RFC 4193)
# with a random global ID.
NODE_NETWORK_6=fdca:c8e0:b1a5:99::/64
HOST_ADDRESS_6=fdca:c8e0:b1a5:99::1
CONTROL_ADDRESS_6=fdca:c8e0:b1a5:99::2
SERVICE_NETWORK_6=fdca:c8e0:b1a5:96::/112
POD_NETWORK_6=fdca:c8e0:b1a5:240::/60
# Exists while the cluster has both families.
DUAL_STACK_FILE=$RUN_DIR/dual-stack
CONTROL_NETNS=orca-control
HOST_LINK=orca0

node_address() { echo "10.99.0.1$1"; }
node_pods() { echo "10.244.$1.0/24"; }
node_address_6() { echo "fdca:c8e0:b1a5:99::1$1"; }
node_pods_6() { echo "fdca:c8e0:b1a5:24$1::/64"; }
is_dual_stack() { [[ -f $DUAL_STACK_FILE ]]; }
# both IPV4 IPV6: a list of networks or addresses, as Kubernetes takes it.
both() { if is_dual_stack; then echo "$1,$2"; else echo "$1"; fi; }
node_netns() { echo "orca-node$1"; }
node_dir() { echo "$RUN_DIR/node$1"; }

# How soon a dead node is detected and its pods are evicted. The defaults of Kubernetes (50 s and 300 s) suit large
# clusters on unreliable networks.
NODE_GRACE_SECONDS=${ORCA_NODE_GRACE_SECONDS:-16}
EVICTION_SECONDS=${ORCA_EVICTION_SECONDS:-15}
