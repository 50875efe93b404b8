SUMMARY = "A gateway: read-only root in two slots, a data partition, TPM 2.0, the agent"
LICENSE = "Apache-2.0"

inherit core-image features_check enf-swtpm
REQUIRED_DISTRO_FEATURES = "systemd ipv6"

IMAGE_FEATURES += "read-only-rootfs"
IMAGE_INSTALL = "packagegroup-core-boot packagegroup-enf-gateway enf-data ${CORE_IMAGE_EXTRA_INSTALL}"
IMAGE_LINGUAS = ""

IMAGE_FSTYPES += "wic wic.bmap"
WKS_FILE ?= "enf-gateway-ab.wks.in"
WKS_FILE_DEPENDS ?= "${@'grub-efi systemd-boot' if 'efi' in d.getVar('MACHINE_FEATURES').split() else ''} e2fsprogs-native dosfstools-native mtools-native"

# bitbake enf-gateway-image -c testimage
TEST_SUITES = "ping ssh systemd enf"
