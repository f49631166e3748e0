# shellcheck shell=bash
# Processes that outlive the shell that starts them. A record holds pid, start
# time and name: a pid that the kernel has given to something else since does
# not match, and is never signalled.

# start_time PID: in clock ticks since boot. The name, in parentheses, may hold spaces.
start_time() {
  local stat fields
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  read -ra fields <<<"${stat##*) }"
  echo "${fields[19]}"
}

record_process() { echo "$2 $(start_time "$2") $3" >"$PID_DIR/$1"; }

# process_pid NAME: prints the pid if the recorded process still runs.
process_pid() {
  local pid started comm
  [[ -f $PID_DIR/$1 ]] || return 1
  read -r pid started comm <"$PID_DIR/$1" || return 1
  [[ $(start_time "$pid") == "$started" && $(cat "/proc/$pid/comm" 2>/dev/null) == "$comm" ]] || return 1
  # A zombie still has its entry, but nothing of it runs.
  [[ $(</proc/"$pid"/stat) != *') Z '* ]] || return 1
  echo "$pid"
}

process_alive() { process_pid "$1" >/dev/null 2>&1; }

# spawn NAME CGROUP COMM COMMAND...: in a session of its own, in its cgroup from
# the first instruction on. COMM is the name the process has in the end; the
# lock's descriptor is closed, or the cluster would hold the lock.
spawn() {
  local name=$1 cgroup=$2 comm=$3 pid
  shift 3
  # shellcheck disable=SC2016 # expanded by the inner shell
  setsid bash -c 'for file in $1; do echo $$ >"$file" || exit; done; shift; exec "$@"' \
    "$name" "$(cgroup_procs "$cgroup")" "$@" >>"$LOG_DIR/$name.log" 2>&1 </dev/null 9>&- &
  pid=$!
  disown "$pid"
  record_process "$name" "$pid" "${comm:0:15}"
}

# stop_process NAME SECONDS: asks, waits and then kills.
stop_process() {
  local pid tries
  if pid=$(process_pid "$1"); then
    kill -TERM "$pid" 2>/dev/null || true
    for ((tries = $2 * 10; tries > 0; tries--)); do
      process_alive "$1" || break
      sleep 0.1
    done
    ! process_alive "$1" || kill -KILL "$pid" 2>/dev/null || true
  fi
  rm -f "$PID_DIR/$1"
}
