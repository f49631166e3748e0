# shellcheck shell=bash
# What every script in hack/ shares: where things are, how to speak, how to
# fail, how to take a lock and how to run a long step.

HACK_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034 # read by the files that source this one
REPO_DIR=$(dirname "$HACK_DIR")
CACHE_DIR=${ORCACACHE_CACHE_DIR:-${HOME:?HOME is not set}/.cache/orcacache}
# Absolute, because kubeconfigs and symlinks that point here outlive the caller's folder.
[[ $CACHE_DIR == /* ]] || CACHE_DIR=$PWD/$CACHE_DIR
SELF=${0##*/}

say() { printf '%s: %s\n' "$SELF" "$*"; }

die() {
  printf '%s: %s\n' "$SELF" "$*" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

need_root() { [[ $EUID -eq 0 ]] || die "needs root $1: run it as root (sudo -E)"; }

# take_lock FD FILE WHAT: holds FILE until this process and the children that
# inherit FD end. Long-lived children must be started with FD closed.
take_lock() {
  local fd=$1 file=$2 what=$3
  mkdir -p "$(dirname "$file")"
  eval "exec $fd>>\"\$file\""
  if ! flock -n "$fd"; then
    say "waiting for another $what to finish"
    flock "$fd"
  fi
}

# hash_of STRING|@FILE...: one short digest over strings and file contents.
hash_of() {
  local part
  for part in "$@"; do
    if [[ $part == @* ]]; then cat "${part#@}"; else printf '%s\n' "$part"; fi
  done | sha256sum | cut -c1-12
}

# step EXPECTED TITLE COMMAND...: runs COMMAND with its output in a log and
# tells when it begins, that it lives (every 15 s) and how long it took. Its
# process group is ended with this script, so that an interrupt leaves no
# compiler running. Must not be called in a condition: that switches off
# `set -e` inside COMMAND.
step() {
  local expected=$1 title=$2 log pid start=$SECONDS next rc=0
  shift 2
  mkdir -p "$CACHE_DIR/logs"
  log=$CACHE_DIR/logs/${title//[^A-Za-z0-9.]/-}.log
  say "$title: begins, expected $expected"
  set -m
  (
    set -euo pipefail
    "$@"
  ) >"$log" 2>&1 </dev/null &
  pid=$!
  set +m
  # shellcheck disable=SC2064 # the pid of now is meant
  trap "kill -TERM -- -$pid 2>/dev/null; exit 130" INT TERM HUP
  next=$((start + 15))
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.1
    if ((SECONDS >= next)); then
      say "$title: $((SECONDS - start)) s so far"
      next=$((next + 15))
    fi
  done
  wait "$pid" || rc=$?
  trap - INT TERM HUP
  if ((rc != 0)); then
    tail -n 30 "$log" >&2
    die "$title failed after $((SECONDS - start)) s; all of its output: $log"
  fi
  say "$title: done in $((SECONDS - start)) s"
}

# wait_for SECONDS WHAT COMMAND...: polls until COMMAND succeeds.
wait_for() {
  local seconds=$1 what=$2 end
  shift 2
  end=$((SECONDS + seconds))
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || die "gave up waiting for $what after $seconds s"
    sleep 0.1
  done
}
