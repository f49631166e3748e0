# shellcheck shell=bash
# Installs the load generator, the synthetic stores and nginx for hack/bench.

BENCH_GO=$HACK_DIR/bench.d/go

declare_bench() {
  local sources=()
  mapfile -t sources < <(find "$BENCH_GO" -type f | sort)
  item benchtools "${sources[@]/#/@}"
}

install_bench() {
  if ! item_ready benchtools; then
    need_go
    item_install benchtools '10–60 s' 'load generator and synthetic stores' build_benchtools
  fi
  install_nginx
}

build_benchtools() {
  go_build "$BENCH_GO/loadgen" loadgen '' "$1"
  go_build "$BENCH_GO/synthetic" synthetic '' "$1"
}
