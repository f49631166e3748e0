# shellcheck shell=bash
# Every process of the cluster, including pods, is in a cgroup below `orcacache`. Membership therefore identifies
# them even if the pid records are lost. Version 1 has one tree for each controller, version 2 has one tree.

CGROUP_NAME=orcacache
# The CPU weight of the group, in tasks outside of it. The default of one, regardless of how many processes are in the
# group, would starve three nodes next to the tests, and a starved node looks dead to its peers.
CGROUP_TASKS=4
# The controllers that kubelet requires, if the machine has them.
CGROUP_CONTROLLERS=(cpuset cpu memory pids hugetlb)

cgroup_version() { if [[ -f /sys/fs/cgroup/cgroup.controllers ]]; then echo 2; else echo 1; fi; }

cgroup_roots() {
  local root
  if [[ $(cgroup_version) == 2 ]]; then
    echo /sys/fs/cgroup
    return
  fi
  for root in /sys/fs/cgroup/*/; do
    # Names such as cpu and cpuacct may be links to one tree with both controllers.
    [[ -L ${root%/} || ! -f $root/cgroup.procs ]] || echo "${root%/}"
  done
}

# cgroup_create PATH: below orcacache, in every tree.
cgroup_create() {
  local root path part file
  for root in $(cgroup_roots); do
    path=$root
    for part in $CGROUP_NAME ${1//\// }; do
      [[ $(cgroup_version) == 1 ]] || cgroup_delegate "$path"
      path+=/$part
      mkdir -p "$path"
      # Version 1 creates an empty cpuset, in which no process can run.
      for file in cpuset.cpus cpuset.mems; do
        [[ $(cgroup_version) == 2 || ! -f $path/$file || -n $(<"$path/$file") ]] || cat "$path/../$file" >"$path/$file"
      done
    done
  done
}

# Best effort: on a machine that rejects the weight the cluster is only slower.
cgroup_weigh() {
  local file
  for file in /sys/fs/cgroup/{,*/}$CGROUP_NAME/cpu.shares; do
    [[ ! -f $file ]] || echo $((1024 * CGROUP_TASKS)) 2>/dev/null >"$file" || true
  done
  file=/sys/fs/cgroup/$CGROUP_NAME/cpu.weight
  [[ ! -f $file ]] || echo $((100 * CGROUP_TASKS)) 2>/dev/null >"$file" || true
}

# cgroup_delegate PATH: enables the controllers for the children of PATH.
cgroup_delegate() {
  local controller
  for controller in "${CGROUP_CONTROLLERS[@]}"; do
    grep -qw "$controller" /sys/fs/cgroup/cgroup.controllers || continue
    grep -qw "$controller" "$1/cgroup.subtree_control" && continue
    { echo "+$controller" >"$1/cgroup.subtree_control"; } 2>/dev/null ||
      die "cannot pass the cgroup controller $controller below $1: in a container, run it with the host's cgroup namespace"
  done
}

# cgroup_procs PATH: the files into which a process writes its pid.
cgroup_procs() {
  local root
  for root in $(cgroup_roots); do printf '%s ' "$root/$CGROUP_NAME/$1/cgroup.procs"; done
}

# cgroup_pids [PATH]: all processes below, each once.
cgroup_pids() {
  local root
  for root in $(cgroup_roots); do
    find "$root/$CGROUP_NAME${1:+/$1}" -name cgroup.procs -exec cat {} + 2>/dev/null || true
  done | sort -un
}

# cgroup_remove [PATH]: kills the processes in the group and removes it. It repeats, because a process may fork
# between listing and killing.
cgroup_remove() {
  local root path pids tries
  for ((tries = 0; tries < 100; tries++)); do
    mapfile -t pids < <(cgroup_pids "${1:-}" | sed "/^0$/d")
    ((${#pids[@]})) || break
    kill -KILL "${pids[@]}" 2>/dev/null || true
    # A frozen process dies only when it thaws.
    path=/sys/fs/cgroup/freezer/$CGROUP_NAME${1:+/$1}
    [[ ! -d $path ]] || find "$path" -name freezer.state -exec sh -c 'for f; do echo THAWED >"$f"; done' sh {} + 2>/dev/null || true
    sleep 0.1
  done
  for ((tries = 0; tries < 30; tries++)); do
    for root in $(cgroup_roots); do
      path=$root/$CGROUP_NAME${1:+/$1}
      [[ ! -d $path ]] || find "$path" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done
    [[ -n $(cgroup_left "${1:-}") ]] || return 0
    sleep 0.1
  done
}

cgroup_left() {
  local root
  for root in $(cgroup_roots); do
    [[ ! -d $root/$CGROUP_NAME${1:+/$1} ]] || echo "$root/$CGROUP_NAME${1:+/$1}"
  done
}
