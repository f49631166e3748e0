# shellcheck shell=bash
# Runs programs for arm64 on other processors, one process at a time: tests start the released images with it.

declare_emulator() { item emulator "$(distribution)"; }

# The package emulates thirty processors.
emulator_unpack() {
  unpack_packages qemu-user-static "$1"
  find "$1/root" -type f ! -name qemu-aarch64-static -delete
  find "$1/bin" -xtype l -delete
}

install_emulator() {
  item_ready emulator && return
  need_apt qemu-user-static
  apt_refresh
  item_install emulator '10–30 s' 'emulator of arm64' emulator_unpack
}
