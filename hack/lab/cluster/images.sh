# shellcheck shell=bash
# Imports images into the nodes, from archives or from a local container engine.

import_image() { node_exec "$1" ctr --namespace k8s.io images import "$2"; }

# load_image SCRATCH_DIR ARCHIVE NODE...: imports it into the nodes in parallel.
load_image() {
  local scratch=$1 archive=$2 node pids=() pid
  shift 2
  for node in "$@"; do
    import_image "$node" "$archive" >"$scratch/node$node.log" 2>&1 &
    pids+=("$!")
  done
  for pid in "${pids[@]}"; do
    wait "$pid" || die "importing $archive failed: $(cat "$scratch"/node*.log | tail -n 3)"
  done
  sed -n 's/^unpacking \([^ ]*\).*/\1/p' "$scratch/node$1.log"
}

load_images() {
  local image file nodes=() node start scratch loaded
  # shellcheck disable=SC2153 # set in layout.sh
  for node in "${NODES[@]}"; do ! process_alive "node$node" || nodes+=("$node"); done
  ((${#nodes[@]})) || die "no node is up: run hack/cluster up"
  scratch=$(mktemp -d)
  # shellcheck disable=SC2064 # expand the folder now
  trap "rm -rf '$scratch'" EXIT
  for image in "$@"; do
    start=$SECONDS
    if [[ -f $image ]]; then
      file=$(realpath "$image")
    else
      have docker || die "$image is not a file, and Docker is missing to export an image of that name"
      file=$scratch/image.tar
      docker save --output "$file" "$image" || die "$image is neither a file nor an image of the local Docker engine (DOCKER_HOST=${DOCKER_HOST:-})"
    fi
    loaded=$(load_image "$scratch" "$file" "${nodes[@]}")
    rm -f "$scratch/image.tar"
    say "loaded ${loaded//$'\n'/, } into nodes ${nodes[*]} in $((SECONDS - start)) s"
  done
}
