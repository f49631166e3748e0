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
CONTROL_NETNS=orca-control
HOST_LINK=orca0

node_address() { echo "10.99.0.1$1"; }
node_pods() { echo "10.244.$1.0/24"; }
node_netns() { echo "orca-node$1"; }
node_dir() { echo "$RUN_DIR/node$1"; }

# How soon a dead node is detected and its pods are evicted. The defaults of Kubernetes (50 s and 300 s) suit large
# clusters on unreliable networks.
NODE_GRACE_SECONDS=${ORCA_NODE_GRACE_SECONDS:-16}
EVICTION_SECONDS=${ORCA_EVICTION_SECONDS:-15}
