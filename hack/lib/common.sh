# shellcheck shell=bash
# What every script in hack/ shares: paths, messages, error reports, locks, and running long steps.

HACK_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034 # read by the files that source this one
REPO_DIR=$(dirname "$HACK_DIR")
CACHE_DIR=${ORCACACHE_CACHE_DIR:-${HOME:?HOME is not set}/.cache/orcacache}
# Absolute, because kubeconfigs and symlinks point into it and are used from any folder.
[[ $CACHE_DIR == /* ]] || CACHE_DIR=$PWD/$CACHE_DIR
SELF=${0##*/}

# Under `set -e` a command may end a script without printing anything. This names the command and where it is;
# functions and subshells inherit the trap (-E). After `die` and for commands in a condition it does not run.
set -E
REPORTED_FAILURE=
trap 'report_failure "$?" "$BASH_COMMAND"' ERR

report_failure() {
  # The command that failed was named already.
  [[ -z $REPORTED_FAILURE ]] || return 0
  # The path may be relative, or lead through another folder, such as .ci/../hack/test.
  local file=${BASH_SOURCE[1]##*/hack/}
  printf '%s: hack/%s:%s: exit code %s from: %s\n' "$SELF" "${file#hack/}" "${BASH_LINENO[0]}" "$1" "$2" >&2
}

# failed_step RC COMMAND...: names a command whose exit code the caller passes on.
failed_step() {
  REPORTED_FAILURE="$SELF: exit code $1 from: ${*:2}"
  repeat_failure
}

# After a clean-up with output of its own, so that the reason is the last line.
repeat_failure() { [[ -z $REPORTED_FAILURE ]] || printf '%s\n' "$REPORTED_FAILURE" >&2; }

# use PART...: sources hack/PART.sh. Variables that a part declares must be global (declare -g).
use() {
  local part
  for part in "$@"; do
    # shellcheck source=/dev/null
    . "$HACK_DIR/$part.sh"
  done
}

say() { printf '%s: %s\n' "$SELF" "$*"; }

die() {
  printf '%s: %s\n' "$SELF" "$*" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

need_root() { [[ $EUID -eq 0 ]] || die "needs root $1: run it as root (sudo -E)"; }

# Locks of what exists once on a machine, whatever the cache folder is. Only root takes them.
# shellcheck disable=SC2034 # read by the files that source this one
MACHINE_LOCK_DIR=/run/lock

# take_lock FD FILE WHAT: locks FILE until release_lock FD, or until this process and the children that inherit FD have
# exited. Start long-lived children with FD closed.
take_lock() {
  local fd=$1 file=$2 what=$3
  mkdir -p "$(dirname "$file")"
  eval "exec $fd>>\"\$file\""
  if ! flock -n "$fd"; then
    say "waiting for another $what to finish"
    flock "$fd"
  fi
}

release_lock() { eval "exec $1>&-"; }

# hash_of STRING|@FILE...: one short digest over strings and file contents.
hash_of() {
  local part
  for part in "$@"; do
    if [[ $part == @* ]]; then cat "${part#@}"; else printf '%s\n' "$part"; fi
  done | sha256sum | cut -c1-12
}

# step EXPECTED TITLE COMMAND...: runs COMMAND with its output in a log. Prints a line at the start, every 15 s,
# and at the end with the time it took. Its process group ends with this script, so that an interrupt leaves no
# compiler running. Do not call it in a condition: that disables `set -e` inside COMMAND.
step() {
  local expected=$1 title=$2 log pid start=$SECONDS next rc=0
  shift 2
  mkdir -p "$CACHE_DIR/logs"
  log=$CACHE_DIR/logs/${title//[^A-Za-z0-9.]/-}.log
  say "$title: started, expected to take $expected"
  set -m
  (
    set -euo pipefail
    "$@"
  ) >"$log" 2>&1 </dev/null &
  pid=$!
  set +m
  # shellcheck disable=SC2064 # expand the pid now
  trap "kill -TERM -- -$pid 2>/dev/null; exit 130" INT TERM HUP
  next=$((start + 15))
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.1
    if ((SECONDS >= next)); then
      say "$title: $((SECONDS - start)) s so far$(share_of "$log" $((SECONDS - start)))"
      next=$((next + 15))
    fi
  done
  wait "$pid" || rc=$?
  trap - INT TERM HUP
  if ((rc != 0)); then
    tail -n 30 "$log" >&2
    die "$title failed after $((SECONDS - start)) s; full output: $log"
  fi
  say "$title: done in $((SECONDS - start)) s"
}

# share_of LOG SECONDS: what a log with `packages: N`, and a line for each finished one, says about the progress. Packages
# that the compiler's cache already has are not in the log, so it is a lower limit.
share_of() {
  local total finished
  total=$(sed -n 's/^packages: //p' "$1")
  [[ -n $total ]] || return 0
  finished=$(grep -c '^[^ ]*$' "$1" || true)
  ((finished > 0 && finished < total)) || return 0
  printf ', at least %d %% of %d packages, at most %d s left' \
    $((finished * 100 / total)) "$total" $(($2 * (total - finished) / finished))
}

# wait_for SECONDS WHAT COMMAND...: polls until COMMAND succeeds.
wait_for() {
  local seconds=$1 what=$2 end
  shift 2
  end=$((SECONDS + seconds))
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || die "timed out after $seconds s waiting for $what"
    sleep 0.1
  done
}
