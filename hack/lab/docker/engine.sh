# shellcheck shell=bash
# The container engine: a running one, or otherwise a private dockerd. The private one can run next to any other
# software, because it needs no firewall rule and no forwarding. Its containers cannot reach other networks; the
# machine reaches them through ports that dockerd's proxy opens on loopback.

# Fixed, because a socket path is limited to 107 bytes and the name of the bridge is unique on a machine.
DOCKER_RUN_DIR=/run/orcacache-docker
DOCKER_SOCKET=$DOCKER_RUN_DIR/docker.sock
DOCKER_DATA_DIR=$CACHE_DIR/docker
# The engine is one per machine, whichever cache folder its user has: so are its lock, and the file that every user locks.
DOCKER_LOCK=$MACHINE_LOCK_DIR/orcacache-docker
DOCKER_USERS=$MACHINE_LOCK_DIR/orcacache-docker-users
DOCKER_BRIDGE=dk-orcacache0
DOCKER_NETWORK=10.97.0.0/24
DOCKER_ADDRESS=10.97.0.1/24
DOCKER_CGROUP=orcacache-docker
# Enough to stop a few containers.
DOCKER_STOP_SECONDS=20
# Files and folders that dockerd creates outside its own, in the order of removal.
DOCKER_TRACES=(/etc/docker/key.json /etc/docker /run/docker/plugins /run/docker)

# lab/process.sh writes its records to these.
# shellcheck disable=SC2034
{
  PID_DIR=$DOCKER_RUN_DIR/pids
  LOG_DIR=$CACHE_DIR/logs
}

docker_answers() { have docker && timeout 10 docker version >/dev/null 2>&1; }

private_docker_answers() { DOCKER_HOST=unix://$DOCKER_SOCKET docker_answers; }

docker_tools() {
  declare_docker
  docker_ready || "$HACK_DIR/tools" docker
  # First on PATH, because client and engine must have compatible versions.
  PATH=${ITEM_PATH[docker]}/bin:$PATH
}

docker_cgroups() { find /sys/fs/cgroup -maxdepth 2 -type d -name "$DOCKER_CGROUP" 2>/dev/null || true; }

docker_up() {
  local trace pid tries
  need_root 'for a private container engine'
  docker_tools
  take_lock 8 "$DOCKER_LOCK" hack/docker
  if process_alive dockerd && private_docker_answers; then
    docker_unlock
    return
  fi
  docker_clean
  [[ -z $(ip -4 route show root "$DOCKER_NETWORK") ]] || die "the network $DOCKER_NETWORK is already in use on this machine"
  mkdir -p "$PID_DIR" "$LOG_DIR" "$DOCKER_DATA_DIR"
  for trace in "${DOCKER_TRACES[@]}"; do
    [[ -e $trace ]] || echo "$trace" >>"$DOCKER_RUN_DIR/traces"
  done
  # The user's daemon.json must not mix with the flags below.
  echo '{}' >"$DOCKER_RUN_DIR/daemon.json"
  ip link add "$DOCKER_BRIDGE" type bridge
  ip address add "$DOCKER_ADDRESS" dev "$DOCKER_BRIDGE"
  ip link set "$DOCKER_BRIDGE" up
  # In its own namespaces: when its init exits, for any reason, the kernel kills containerd and the containers and
  # removes the mounts. Containers inherit the low limit of open files; raising it needs CAP_SYS_RESOURCE.
  setsid unshare --mount --propagation slave --pid --fork --mount-proc --kill-child \
    docker-init -- dockerd --config-file "$DOCKER_RUN_DIR/daemon.json" --host "unix://$DOCKER_SOCKET" \
    --data-root "$DOCKER_DATA_DIR" --exec-root "$DOCKER_RUN_DIR/exec" --pidfile "$DOCKER_RUN_DIR/dockerd.pid" \
    --bridge "$DOCKER_BRIDGE" --ip 127.0.0.1 --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false \
    --cgroup-parent "/$DOCKER_CGROUP" --default-ulimit nofile=1024:4096 \
    >"$LOG_DIR/dockerd.log" 2>&1 </dev/null 8>&- 6>&- 5>&- &
  pid=$!
  disown "$pid"
  record_process dockerd "$pid" unshare
  for ((tries = 300; tries > 0; tries--)); do
    if private_docker_answers; then
      docker_unlock
      return
    fi
    process_alive dockerd || break
    sleep 0.1
  done
  tail -n 20 "$LOG_DIR/dockerd.log" >&2
  docker_clean
  die "the private container engine did not start; full output: $LOG_DIR/dockerd.log"
}

# The recorded process is unshare, which does not forward signals: signals its child, the init of the namespaces.
docker_stop() {
  local pid init tries
  pid=$(process_pid dockerd) || return 0
  init=$(pgrep -P "$pid" || true)
  [[ -z $init ]] || kill -TERM "$init" 2>/dev/null || true
  for ((tries = DOCKER_STOP_SECONDS * 10; tries > 0; tries--)); do
    process_alive dockerd || return 0
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
}

# Works for a running engine and for the remains of a crash.
docker_clean() {
  local trace path tries
  docker_stop
  ip link delete "$DOCKER_BRIDGE" 2>/dev/null || true
  for path in $(docker_cgroups); do
    # The kernel releases the group of a dead container after a short delay.
    for ((tries = 20; tries > 0; tries--)); do
      find "$path" -depth -type d -exec rmdir {} + 2>/dev/null || true
      [[ -d $path ]] || break
      sleep 0.1
    done
  done
  if [[ -f $DOCKER_RUN_DIR/traces ]]; then
    while read -r trace; do
      if [[ -d $trace ]]; then rmdir "$trace" 2>/dev/null || true; else rm -f "$trace"; fi
    done <"$DOCKER_RUN_DIR/traces"
  fi
  rm -rf --one-file-system "$DOCKER_RUN_DIR"
}

docker_down() {
  need_root 'to stop the private container engine'
  take_lock 8 "$DOCKER_LOCK" hack/docker
  docker_clean
  docker_unlock
}

# Otherwise processes that the caller starts later would inherit the lock.
docker_unlock() { release_lock 8; }

# private_docker_env: exports the environment of clients of the private engine.
private_docker_env() {
  export DOCKER_HOST=unix://$DOCKER_SOCKET
  # The image of the Testcontainers reaper comes from a registry.
  export TESTCONTAINERS_RYUK_DISABLED=true
  # Without this, Testcontainers inside a container would use the address of the bridge.
  export TESTCONTAINERS_HOST_OVERRIDE=127.0.0.1
}

# use_docker: sets DOCKER_HOST to a running engine. If there is no running engine, it starts the private one, which
# release_docker stops with its last user.
use_docker() {
  if [[ -n ${DOCKER_HOST:-} ]]; then
    have docker || docker_tools
    docker_answers || die "no container engine responds at DOCKER_HOST=$DOCKER_HOST"
    [[ $DOCKER_HOST != "unix://$DOCKER_SOCKET" ]] || private_docker_env
    return
  fi
  if docker_answers; then return; fi
  need_root 'for a private container engine'
  docker_tools
  private_docker_env
  # A shared lock, held until this process exits.
  exec 6>>"$DOCKER_USERS"
  flock --shared 6
  if docker_answers; then return; fi
  docker_up
  touch "$DOCKER_RUN_DIR/automatic"
}

release_docker() {
  exec 6>&-
  [[ -f $DOCKER_RUN_DIR/automatic ]] || return 0
  # Only the last user gets the exclusive lock. A process that starts meanwhile waits for it and starts the engine again.
  exec 5>>"$DOCKER_USERS"
  if flock --exclusive --nonblock 5; then docker_down; fi
  exec 5>&-
}
