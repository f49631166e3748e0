# shellcheck shell=bash
# Object stores for tests.

declare_versitygw() { item versitygw "$VERSITYGW_VERSION"; }

install_versitygw() {
  item_ready versitygw && return
  need_go
  item_install versitygw '60–120 s' "versitygw $VERSITYGW_VERSION" \
    go_install "github.com/versity/versitygw/cmd/versitygw@$VERSITYGW_VERSION"
}
