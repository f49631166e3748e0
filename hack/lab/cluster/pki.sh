# shellcheck shell=bash
# Certificates and kubeconfigs, created for each cluster.

openssl_quiet() { openssl "$@" 2>>"$LOG_DIR/openssl.log"; }

# certificate NAME SUBJECT [SUBJECT_ALT_NAMES]
certificate() {
  local base=$PKI_DIR/$1
  openssl_quiet req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
    -keyout "$base.key" -out "$base.csr" -subj "$2"
  printf 'extendedKeyUsage=clientAuth,serverAuth\nkeyUsage=digitalSignature\n%s\n' "${3:+subjectAltName=$3}" >"$base.ext"
  openssl_quiet x509 -req -in "$base.csr" -CA "$PKI_DIR/ca.crt" -CAkey "$PKI_DIR/ca.key" \
    -set_serial "0x$(openssl rand -hex 16)" -days 3650 -out "$base.crt" -extfile "$base.ext"
  rm "$base.csr" "$base.ext"
}

base64_of() { base64 -w0 <"$1"; }

# kubeconfig NAME OUT: embeds certificates and keys, so that the file works anywhere on the machine.
kubeconfig() {
  cat >"$2" <<YAML
apiVersion: v1
kind: Config
clusters:
  - name: orcacache
    cluster:
      server: https://$CONTROL_ADDRESS:6443
      certificate-authority-data: $(base64_of "$PKI_DIR/ca.crt")
users:
  - name: $1
    user:
      client-certificate-data: $(base64_of "$PKI_DIR/$1.crt")
      client-key-data: $(base64_of "$PKI_DIR/$1.key")
contexts:
  - name: orcacache
    context: {cluster: orcacache, user: $1}
current-context: orcacache
YAML
  chmod 600 "$2"
}

pki_create() {
  local node name
  mkdir -p "$PKI_DIR"
  chmod 700 "$PKI_DIR"
  openssl_quiet req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
    -keyout "$PKI_DIR/ca.key" -out "$PKI_DIR/ca.crt" -subj /CN=orcacache-cluster \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature
  openssl_quiet genrsa -out "$PKI_DIR/service-account.key" 2048
  openssl_quiet rsa -in "$PKI_DIR/service-account.key" -pubout -out "$PKI_DIR/service-account.pub"

  certificate apiserver /CN=kube-apiserver "IP:$CONTROL_ADDRESS,IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
  certificate apiserver-kubelet /O=system:masters/CN=apiserver-kubelet
  certificate front-proxy /CN=front-proxy
  certificate admin /O=system:masters/CN=admin
  certificate controller-manager /CN=system:kube-controller-manager
  certificate scheduler /CN=system:kube-scheduler
  certificate proxy /CN=system:kube-proxy
  certificate dns /O=system:masters/CN=coredns
  for node in "${NODES[@]}"; do
    certificate "node$node" "/O=system:nodes/CN=system:node:node$node" "DNS:node$node,IP:$(node_address "$node")"
  done
  for name in controller-manager scheduler proxy dns "${NODES[@]/#/node}"; do
    kubeconfig "$name" "$PKI_DIR/$name.kubeconfig"
  done
  kubeconfig admin "$KUBECONFIG_FILE"
}
