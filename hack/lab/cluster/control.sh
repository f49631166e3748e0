# shellcheck shell=bash
# etcd, API server, controller manager, scheduler and DNS.

# shellcheck disable=SC2034 # read by hack/cluster
CONTROL_PROCESSES=(etcd kube-apiserver kube-controller-manager kube-scheduler coredns)

kube() { kubectl --kubeconfig "$KUBECONFIG_FILE" "$@"; }

api_ready() { kube get --raw /readyz; }

# control NAME ARGUMENTS...
control() {
  local name=$1
  shift
  spawn "$name" control "$name" nsenter --net="/run/netns/$CONTROL_NETNS" "$name" "$@"
}

control_up() {
  cgroup_create control
  # No fsync, because the data is deleted with the cluster.
  control etcd --name orcacache --data-dir "$RUN_DIR/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
    --initial-cluster orcacache=http://127.0.0.1:2380
  # Aggregator routing calls webhooks at their pods, because the control plane has no kube-proxy.
  control kube-apiserver --etcd-servers=http://127.0.0.1:2379 \
    --bind-address="$CONTROL_ADDRESS" --advertise-address="$CONTROL_ADDRESS" --secure-port=6443 \
    --service-cluster-ip-range="$(both "$SERVICE_NETWORK" "$SERVICE_NETWORK_6")" --client-ca-file="$PKI_DIR/ca.crt" \
    --tls-cert-file="$PKI_DIR/apiserver.crt" --tls-private-key-file="$PKI_DIR/apiserver.key" \
    --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file="$PKI_DIR/service-account.pub" \
    --service-account-signing-key-file="$PKI_DIR/service-account.key" \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
    --requestheader-client-ca-file="$PKI_DIR/ca.crt" --requestheader-allowed-names=front-proxy \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --proxy-client-cert-file="$PKI_DIR/front-proxy.crt" --proxy-client-key-file="$PKI_DIR/front-proxy.key" \
    --enable-aggregator-routing=true \
    --kubelet-client-certificate="$PKI_DIR/apiserver-kubelet.crt" \
    --kubelet-client-key="$PKI_DIR/apiserver-kubelet.key" --kubelet-preferred-address-types=InternalIP \
    --default-not-ready-toleration-seconds="$EVICTION_SECONDS" \
    --default-unreachable-toleration-seconds="$EVICTION_SECONDS"
  wait_for 60 "the API server (see hack/cluster logs kube-apiserver)" api_ready
  control kube-controller-manager --kubeconfig="$PKI_DIR/controller-manager.kubeconfig" \
    --authentication-kubeconfig="$PKI_DIR/controller-manager.kubeconfig" \
    --authorization-kubeconfig="$PKI_DIR/controller-manager.kubeconfig" \
    --bind-address=127.0.0.1 --use-service-account-credentials=true --leader-elect=false \
    --service-account-private-key-file="$PKI_DIR/service-account.key" --root-ca-file="$PKI_DIR/ca.crt" \
    --cluster-signing-cert-file="$PKI_DIR/ca.crt" --cluster-signing-key-file="$PKI_DIR/ca.key" \
    --flex-volume-plugin-dir="$RUN_DIR/flex-volumes" --allocate-node-cidrs=false --node-monitor-period=2s --node-monitor-grace-period="${NODE_GRACE_SECONDS}s"
  control kube-scheduler --kubeconfig="$PKI_DIR/scheduler.kubeconfig" \
    --authentication-kubeconfig="$PKI_DIR/scheduler.kubeconfig" \
    --authorization-kubeconfig="$PKI_DIR/scheduler.kubeconfig" --bind-address=127.0.0.1 --leader-elect=false
  # Short TTLs, because tests resolve names right after a change.
  cat >"$RUN_DIR/Corefile" <<COREFILE
.:53 {
  bind $CONTROL_ADDRESS
  errors
  cache 2
  loadbalance
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    kubeconfig $PKI_DIR/dns.kubeconfig
    pods insecure
    ttl 1
  }
}
COREFILE
  control coredns -conf "$RUN_DIR/Corefile"
}

control_down() {
  local name
  # etcd stops last, because the other components write to it until they exit.
  for name in coredns kube-scheduler kube-controller-manager kube-apiserver etcd; do stop_process "$name" 3; done
  cgroup_remove control
}
