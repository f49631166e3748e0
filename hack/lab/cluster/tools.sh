# shellcheck shell=bash
# Installs the programs of the cluster: Kubernetes, etcd, containerd, CoreDNS and the pause image.

NODE_PACKAGES=(etcd-server containerd runc containernetworking-plugins)
NODE_COMMANDS=(ip=iproute2 iptables=iptables nsenter=util-linux unshare=util-linux openssl=openssl
  mount=mount pgrep=procps sysctl=procps)
KUBERNETES_PROGRAMS=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy)
has_released_kubectl || KUBERNETES_PROGRAMS+=(kubectl)

declare_cluster() {
  declare_helm
  local kube=$HACK_DIR/lab/kube
  item kubernetes "$KUBERNETES_VERSION" @"$kube"/go.mod @"$kube"/go.sum @"$kube"/kubernetes/main.go \
    @"$kube"/kubernetes/kubectl.go
  item coredns @"$kube"/go.mod @"$kube"/go.sum @"$kube"/coredns/main.go
  item node-packages "$(distribution)" "${NODE_PACKAGES[@]}"
  item pause "$PAUSE_IMAGE" @"$kube"/pause/main.go @"$HACK_DIR"/lab/image/archive.sh
}

cluster_ready() {
  item_ready helm && item_ready kubernetes && item_ready coredns && item_ready node-packages && item_ready pause &&
    [[ -z $(packages_missing "${NODE_COMMANDS[@]}") ]]
}

# One program contains all components and selects one by the name it is called by. It is linked once instead of six
# times, and the nodes share its pages in memory.
kubernetes_build() {
  local out=$1 program minor package=k8s.io/component-base/version
  minor=${KUBERNETES_VERSION#v1.}
  mkdir "$out/bin"
  # `kubectl version` and the capability checks of helm read these.
  go_build "$HACK_DIR/lab/kube/kubernetes" kube "-X $package.gitVersion=$KUBERNETES_VERSION \
-X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*} -X $package.gitTreeState=clean \
-X $package.gitCommit=module -X $package.buildDate=1970-01-01T00:00:00Z" "$out"
  for program in "${KUBERNETES_PROGRAMS[@]}"; do ln -s kube "$out/bin/$program"; done
}

coredns_build() {
  mkdir "$1/bin"
  go_build "$HACK_DIR/lab/kube/coredns" coredns '' "$1"
}

# The pause image is built here from one static program, so that no registry is needed.
pause_build() {
  mkdir "$1/rootfs"
  go_build "$HACK_DIR/lab/kube/pause" pause '' "$1"
  mv "$1/bin/pause" "$1/rootfs/"
  image_archive "$PAUSE_IMAGE" "$1/rootfs" "$1/pause.tar" '{"Entrypoint":["/pause"],"User":"65535:65535"}'
  rm -r "${1:?}/rootfs" "${1:?}/bin"
}

install_cluster() {
  cluster_ready && return
  install_helm
  install_commands "${NODE_COMMANDS[@]}"
  install_unpacked node-packages 'etcd, containerd, runc, CNI plugins' "${NODE_PACKAGES[@]}"
  item_ready kubernetes && item_ready coredns && item_ready pause && return
  need_go
  item_install pause '5 s' 'pause image' pause_build
  item_install kubernetes '4–8 min' "Kubernetes $KUBERNETES_VERSION" kubernetes_build
  # From the same module, so that most of its packages are compiled by now.
  item_install coredns '20–60 s' CoreDNS coredns_build
}
