# shellcheck shell=bash
# A container engine for building images where none runs. It is put there and
# not started; whoever needs it starts dockerd with folders of its own.

DOCKER_PACKAGES=(docker.io containerd runc tini)

declare_docker() { item docker "$(distribution)" "${DOCKER_PACKAGES[@]}"; }

docker_ready() { item_ready docker && [[ -z $(packages_missing debootstrap=debootstrap iptables=iptables) ]]; }

install_docker() {
  install_unpacked docker 'Docker engine' "${DOCKER_PACKAGES[@]}"
  install_commands debootstrap=debootstrap iptables=iptables
}
