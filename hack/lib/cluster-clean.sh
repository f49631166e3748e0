# shellcheck shell=bash
# Bringing the machine back to what it was, and telling what is left.

# Works on anything from a whole cluster to the remains of a crash: each part
# is looked for by its own name and not by what a state file says.
clean_up() {
  local node
  mkdir -p "$RUN_DIR" "$PID_DIR" "$LOG_DIR"
  for node in "${NODES[@]}"; do node_down "$node"; done
  control_down
  cgroup_remove
  network_down
  undo_host_changes
  rm -rf --one-file-system "$RUN_DIR"
  rm -f "$OWNER_FILE"
}

# Someone else may use such a folder or mount by now: what is not empty stays.
undo_host_changes() {
  local kind path
  [[ -f $HOST_CHANGES ]] || return 0
  while read -r kind path; do
    [[ -z $(ls -A "$path" 2>/dev/null) ]] || continue
    [[ $kind == folder ]] || umount "$path" 2>/dev/null || true
    rmdir "$path" 2>/dev/null || true
  done <"$HOST_CHANGES"
  rm "$HOST_CHANGES"
}

own_group() { ps -o pgid= -p $$ | tr -d ' '; }

# leftovers: a line for each thing that belongs to a cluster and is still there.
leftovers() {
  local pid
  for pid in $(cgroup_pids); do echo "process $pid $(cat "/proc/$pid/comm" 2>/dev/null)"; done
  # The caller's own processes may mention the folder too.
  ps -ww -eo pgid=,pid=,comm=,args= | awk -v self="$(own_group)" -v dir="$RUN_DIR/" \
    '$1 != self && index($0, dir) {print "process", $2, $3}'
  cgroup_left | sed 's/^/cgroup /'
  ip netns list | awk '/^orca-/ {print "network namespace", $1}'
  ip -o link show | awk -F'[:@ ]+' -v name="$HOST_LINK" '$2 == name {print "link", $2}'
  ip -4 route show root 10.99.0.0/24 | sed 's/^/route /'
  ip -4 route show root "$SERVICE_NETWORK" | sed 's/^/route /'
  ip -4 route show root "$POD_NETWORK" | sed 's/^/route /'
  awk -v dir="$CLUSTER_DIR/" 'index($0, dir) || $5 ~ /^\/run\/netns\/orca-/ {print "mount", $5}' /proc/self/mountinfo
  [[ ! -e $RUN_DIR ]] || echo "folder $RUN_DIR"
  [[ ! -e $OWNER_FILE ]] || echo "file $OWNER_FILE"
  [[ ! -e $HOST_CHANGES ]] || sed 's/^/not undone: /' "$HOST_CHANGES"
}

# snapshot: what a cluster could change on the machine, in an order that can be
# compared. Kernel threads come and go, and so do the processes of whoever asks.
snapshot() {
  ps -eo pgid=,ppid=,comm= | awk -v self="$(own_group)" '$1 != self && $1 && $2 != 2 {print "process", $3}' | sort
  awk '{print "mount", $5, $(NF-2)}' /proc/self/mountinfo | sort
  ip netns list | sed 's/^/netns /' | sort
  ip -o link show | awk -F': ' '{print "link", $2}' | sort
  ip -4 route show table all | sed 's/^/route /' | sort
  # Without the comments (they hold the time) and the packet counters.
  if have iptables-save; then iptables-save 2>/dev/null | sed '/^#/d; s/\[[0-9:]*\]//; s/^/iptables /' | sort; fi
  find /sys/fs/cgroup -type d | sed 's/^/cgroup /' | sort
  sysctl net.ipv4.ip_forward net.ipv4.conf.all.forwarding vm.overcommit_memory kernel.panic | sed 's/^/sysctl /'
  find /var/lib /var/log /run /usr/libexec /etc /opt -maxdepth 1 | sed 's/^/path /' | sort
}

check_clean() {
  local left
  left=$(leftovers | sort -u)
  if [[ -n ${1:-} ]]; then
    left+=$(diff "$1" <(snapshot) | grep '^[<>]' || true)
  fi
  [[ -n $left ]] || {
    say "nothing of a cluster is left on this machine"
    return 0
  }
  printf '%s\n' "$left"
  return 1
}
