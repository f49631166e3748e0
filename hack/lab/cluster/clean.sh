# shellcheck shell=bash
# Restores the state that the machine had before the cluster, and lists the remains of a cluster.

# Works for a complete cluster and for the remains of a crash, because it finds each part by its name and not by a
# state file.
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

# Other software may use such a folder or mount by now: keeps those that are not empty.
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

# leftovers: prints one line for each thing on this machine that belongs to a cluster.
leftovers() {
  local pid
  for pid in $(cgroup_pids); do echo "process $pid $(cat "/proc/$pid/comm" 2>/dev/null)"; done
  # The caller's own processes may mention the folder too.
  ps -ww -eo pgid=,pid=,comm=,args= | awk -v self="$(own_group)" -v dir="$RUN_DIR/" \
    '$1 != self && index($0, dir) {print "process", $2, $3}'
  cgroup_left | sed 's/^/cgroup /'
  ip netns list | awk '/^orca-/ {print "network namespace", $1}'
  ip -o link show | awk -F'[:@ ]+' -v name="$HOST_LINK" '$2 == name {print "link", $2}'
  host_routes | sed 's/^/route /'
  awk -v dir="$CLUSTER_DIR/" 'index($0, dir) || $5 ~ /^\/run\/netns\/orca-/ {print "mount", $5}' /proc/self/mountinfo
  [[ ! -e $RUN_DIR ]] || echo "folder $RUN_DIR"
  [[ ! -e $OWNER_FILE ]] || echo "file $OWNER_FILE"
  [[ ! -e $HOST_CHANGES ]] || sed 's/^/not undone: /' "$HOST_CHANGES"
}

# snapshot: prints the state of the machine that a cluster may change, sorted for comparison. It omits kernel threads
# and the processes of the caller, which change all the time.
snapshot() {
  ps -eo pgid=,ppid=,comm= | awk -v self="$(own_group)" '$1 != self && $1 && $2 != 2 {print "process", $3}' | sort
  awk '{print "mount", $5, $(NF-2)}' /proc/self/mountinfo | sort
  ip netns list | sed 's/^/netns /' | sort
  ip -o link show | awk -F': ' '{print "link", $2}' | sort
  ip -4 route show table all | sed 's/^/route /' | sort
  # Without the addresses that every link has.
  ip -6 route show table all 2>/dev/null | sed '/fe80::\|ff00::/d; s/^/route /' | sort
  # Without comments, which contain the time, and without packet counters.
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
    say "no remains of a cluster on this machine"
    return 0
  }
  printf '%s\n' "$left"
  return 1
}
