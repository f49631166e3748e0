# shellcheck shell=bash
# Installs a container engine for machines without one. lab/docker/engine.sh starts it, with its own folders.

DOCKER_PACKAGES=(docker.io containerd runc tini)

declare_docker() { item docker "$(distribution)" "${DOCKER_PACKAGES[@]}"; }

docker_ready() { item_ready docker && [[ -z $(packages_missing iptables=iptables) ]]; }

install_docker() {
  install_unpacked docker 'Docker engine' "${DOCKER_PACKAGES[@]}"
  install_commands iptables=iptables
}
