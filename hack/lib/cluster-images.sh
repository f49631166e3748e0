# shellcheck shell=bash
# Images get into the nodes from files or from a local container engine.

import_image() { node_exec "$1" ctr --namespace k8s.io images import "$2"; }

# load_image NODE... -- ARCHIVE
load_image() {
  local nodes=() node pids=() pid
  while [[ $1 != -- ]]; do
    nodes+=("$1")
    shift
  done
  for node in "${nodes[@]}"; do
    import_image "$node" "$2" >"$RUN_DIR/import-node$node.log" 2>&1 &
    pids+=("$!")
  done
  for pid in "${pids[@]}"; do
    wait "$pid" || die "importing $2 failed: $(cat "$RUN_DIR"/import-node*.log | tail -n 3)"
  done
  sed -n 's/^unpacking \([^ ]*\).*/\1/p' "$RUN_DIR/import-node${nodes[0]}.log"
}

load_images() {
  local image file nodes=() node start
  # shellcheck disable=SC2153 # set in cluster-layout.sh
  for node in "${NODES[@]}"; do ! process_alive "node$node" || nodes+=("$node"); done
  ((${#nodes[@]})) || die "no node is up: run hack/cluster up"
  for image in "$@"; do
    start=$SECONDS
    if [[ -f $image ]]; then
      file=$(realpath "$image")
    else
      have docker || die "$image is no file, and there is no docker to ask for an image of that name"
      file=$RUN_DIR/load.tar
      docker save --output "$file" "$image" || die "$image is neither a file nor an image of the local docker (DOCKER_HOST=${DOCKER_HOST:-})"
    fi
    load_image "${nodes[@]}" -- "$file" | sed "s/^/$SELF: loaded /"
    rm -f "$RUN_DIR/load.tar"
    say "$image is in nodes ${nodes[*]} after $((SECONDS - start)) s"
  done
}
