# shellcheck shell=bash
# Debian packages, verified by apt, in two ways:
# - Services and their helpers (etcd, containerd, dockerd, …) are unpacked into the cache, because installing them
#   starts daemons, adds users and may replace programs that the machine uses.
# - Small command-line tools that expect files in fixed places (iptables and its extensions) are installed.

PACKAGES_REFRESHED=

need_apt() { have apt-get || die "apt is missing: hack/tools installs $1 from packages of Debian or Ubuntu"; }

distribution() { (. /etc/os-release && printf '%s-%s' "$ID" "${VERSION_CODENAME:-}"); }

# Refreshing fails at once while another apt is running, so it has a lock of the machine.
lock_apt() { take_lock 4 "$MACHINE_LOCK_DIR/orcacache-apt" 'installation of Debian packages'; }

apt_refresh() {
  [[ -n $PACKAGES_REFRESHED ]] && return
  need_root 'to refresh the package lists'
  lock_apt
  step '10 s' 'package lists' apt-get update -qq
  release_lock 4
  PACKAGES_REFRESHED=yes
}

# packages_missing COMMAND=PACKAGE...: prints the packages whose command is missing.
packages_missing() {
  local pair
  for pair in "$@"; do
    have "${pair%%=*}" || printf '%s\n' "${pair#*=}"
  done | sort -u
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

# install_commands COMMAND=PACKAGE...
install_commands() {
  local missing
  mapfile -t missing < <(packages_missing "$@")
  ((${#missing[@]})) || return 0
  need_apt "${missing[*]}"
  need_root "to install ${missing[*]}"
  apt_refresh
  lock_apt
  step '10 s' "Debian packages ${missing[*]}" apt_install "${missing[@]}"
  release_lock 4
}

# unpack_packages PACKAGE... OUT: unpacks all files into OUT/root and links all programs into OUT/bin.
unpack_packages() {
  local out=${*: -1} deb program
  mkdir -p "$out/debs" "$out/root" "$out/bin"
  # apt's sandbox user cannot write to a cache below a private home folder.
  (cd "$out/debs" && apt-get -qq -o APT::Sandbox::User=root download "${@:1:$#-1}")
  for deb in "$out"/debs/*.deb; do dpkg-deb -x "$deb" "$out/root"; done
  rm -r "$out/debs"
  for program in "$out"/root/{usr/bin,usr/sbin,bin,sbin}/*; do
    [[ -x $program ]] && ln -sf "../${program#"$out"/}" "$out/bin/"
  done
  check_linkage "$out"/bin/*
}

# Unpacking installs no dependencies: fails now if the machine lacks a library.
check_linkage() {
  local program lacking
  for program in "$@"; do
    lacking=$(ldd "$program" 2>/dev/null | grep 'not found' || true)
    [[ -z $lacking ]] || { echo "$program lacks a library: $lacking"; return 1; }
  done
}

# install_unpacked ITEM TITLE PACKAGE...
install_unpacked() {
  local name=$1 title=$2
  shift 2
  item_ready "$name" && return
  need_apt "$*"
  apt_refresh
  item_install "$name" '10 s' "$title" unpack_packages "$@"
}
