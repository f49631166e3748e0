# shellcheck shell=bash
# A container engine: the one that answers, else a private dockerd. The private
# one needs no firewall rule and no forwarding, so it can run beside anything:
# its containers reach nothing, and the machine reaches them through ports that
# dockerd's own proxy opens on loopback.

# Fixed, because a socket's path may be no longer than 107 bytes, and because
# there is one bridge of that name on a machine.
DOCKER_RUN_DIR=/run/orcacache-docker
DOCKER_SOCKET=$DOCKER_RUN_DIR/docker.sock
DOCKER_DATA_DIR=$CACHE_DIR/docker
DOCKER_USERS=$CACHE_DIR/docker.users
DOCKER_BRIDGE=dk-orcacache0
DOCKER_NETWORK=10.97.0.0/24
DOCKER_ADDRESS=10.97.0.1/24
DOCKER_CGROUP=orcacache-docker
# Long enough to stop a handful of containers.
DOCKER_STOP_SECONDS=20
# What dockerd puts into the machine's own folders; in the order of removal.
DOCKER_TRACES=(/etc/docker/key.json /etc/docker /run/docker/plugins /run/docker)

# cluster-process.sh keeps its records where these say.
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
  # Before the machine's own: client and engine of one age understand each other.
  PATH=${ITEM_PATH[docker]}/bin:$PATH
}

docker_cgroups() { find /sys/fs/cgroup -maxdepth 2 -type d -name "$DOCKER_CGROUP" 2>/dev/null || true; }

docker_up() {
  local trace pid tries
  need_root 'for a private container engine'
  docker_tools
  take_lock 8 "$CACHE_DIR/docker.lock" hack/docker
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
  # In namespaces of its own: when its init dies, however that comes about, so
  # do containerd, the containers and all mounts. The low limit of open files is
  # what containers inherit; raising it needs CAP_SYS_RESOURCE.
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
  die "the private container engine did not start; all of its output: $LOG_DIR/dockerd.log"
}

# The record is of unshare, which passes no signal on: its child, the init of
# the namespaces, is asked.
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

# Works on a running engine as on the remains of a crash.
docker_clean() {
  local trace path tries
  docker_stop
  ip link delete "$DOCKER_BRIDGE" 2>/dev/null || true
  for path in $(docker_cgroups); do
    # The kernel lets go of a dead container's group a moment later.
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
  take_lock 8 "$CACHE_DIR/docker.lock" hack/docker
  docker_clean
  docker_unlock
}

# The caller goes on, and what it starts would inherit the lock.
docker_unlock() { exec 8>&-; }

# private_docker_env: what speaks to the private engine needs in its environment.
private_docker_env() {
  export DOCKER_HOST=unix://$DOCKER_SOCKET
  # The image of testcontainers' reaper would have to come from a registry.
  export TESTCONTAINERS_RYUK_DISABLED=true
  # Else testcontainers, when it finds itself in a container, tries the bridge's address.
  export TESTCONTAINERS_HOST_OVERRIDE=127.0.0.1
}

# use_docker: sets DOCKER_HOST to an engine that answers. Where none does, it
# starts the private one; release_docker then ends it with its last user.
use_docker() {
  if [[ -n ${DOCKER_HOST:-} ]]; then
    have docker || docker_tools
    docker_answers || die "no container engine answers at DOCKER_HOST=$DOCKER_HOST"
    [[ $DOCKER_HOST != "unix://$DOCKER_SOCKET" ]] || private_docker_env
    return
  fi
  if docker_answers; then return; fi
  docker_tools
  private_docker_env
  # Held for as long as this process lives; everybody may have it at once.
  exec 6>>"$DOCKER_USERS"
  flock --shared 6
  if docker_answers; then return; fi
  docker_up
  touch "$DOCKER_RUN_DIR/automatic"
}

release_docker() {
  exec 6>&-
  [[ -f $DOCKER_RUN_DIR/automatic ]] || return 0
  # Only the last user gets it for itself alone; who comes meanwhile waits, and
  # starts anew.
  exec 5>>"$DOCKER_USERS"
  if flock --exclusive --nonblock 5; then docker_down; fi
  exec 5>&-
}
