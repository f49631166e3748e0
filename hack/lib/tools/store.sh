# shellcheck shell=bash
# Object stores for tests, the fault-injecting proxy in front of them, nginx, and rclone.

declare_versitygw() { item versitygw "$VERSITYGW_VERSION"; }

install_versitygw() {
  item_ready versitygw && return
  need_go
  item_install versitygw '60–120 s' "versitygw $VERSITYGW_VERSION" \
    go_install "github.com/versity/versitygw/cmd/versitygw@$VERSITYGW_VERSION"
}

declare_versitygw_racy() { item versitygw-racy "$VERSITYGW_RACY_VERSION"; }

install_versitygw_racy() {
  item_ready versitygw-racy && return
  need_go
  item_install versitygw-racy '60–120 s' "versitygw $VERSITYGW_RACY_VERSION" \
    go_install_as versitygw-racy "github.com/versity/versitygw/cmd/versitygw@$VERSITYGW_RACY_VERSION"
}

declare_toxiproxy() { item toxiproxy "$TOXIPROXY_VERSION"; }

install_toxiproxy() {
  item_ready toxiproxy && return
  need_go
  item_install toxiproxy '10–60 s' "toxiproxy $TOXIPROXY_VERSION" \
    go_install_as toxiproxy-server "github.com/Shopify/toxiproxy/v2/cmd/server@$TOXIPROXY_VERSION"
}

declare_nginx() { item nginx "$(distribution)"; }

install_nginx() { install_unpacked nginx 'nginx' nginx; }

declare_rclone() { item rclone "$RCLONE_VERSION"; }

install_rclone() {
  item_ready rclone && return
  need_go
  item_install rclone '2–6 min' "rclone $RCLONE_VERSION" go_install "github.com/rclone/rclone@$RCLONE_VERSION"
}
