# shellcheck shell=bash
# Processes that outlive the shell that starts them. A record contains pid, start time and name: a pid that the kernel
# has reused does not match and is never signaled.

# start_time PID: prints it in clock ticks since boot. The name, in parentheses, may contain spaces.
start_time() {
  local stat fields
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  read -ra fields <<<"${stat##*) }"
  echo "${fields[19]}"
}

record_process() { echo "$2 $(start_time "$2") $3" >"$PID_DIR/$1"; }

# process_pid NAME: prints the pid if the recorded process is still running.
process_pid() {
  local pid started comm
  [[ -f $PID_DIR/$1 ]] || return 1
  read -r pid started comm <"$PID_DIR/$1" || return 1
  [[ $(start_time "$pid") == "$started" && $(cat "/proc/$pid/comm" 2>/dev/null) == "$comm" ]] || return 1
  # A zombie has an entry but no longer runs. Not $(<file): bash 5.2 exits if the process ends just before.
  [[ $(cat "/proc/$pid/stat" 2>/dev/null) == *') '[!Z]' '* ]] || return 1
  echo "$pid"
}

process_alive() { process_pid "$1" >/dev/null 2>&1; }

# spawn NAME CGROUP COMM COMMAND...: starts it in its own session, and in the cgroup from its first instruction on.
# COMM is the final name of the process. The lock's descriptor (9) is closed, otherwise the cluster would hold the lock.
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

# stop_process NAME SECONDS: sends SIGTERM, waits, then sends SIGKILL.
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
