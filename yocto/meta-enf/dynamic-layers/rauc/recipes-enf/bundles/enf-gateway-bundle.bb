SUMMARY = "An update of the root slot of a gateway"
LICENSE = "Apache-2.0"

inherit bundle
RAUC_BUNDLE_COMPATIBLE ?= "enf-gateway-${MACHINE}"
RAUC_BUNDLE_FORMAT = "verity"
RAUC_BUNDLE_SLOTS = "rootfs"
RAUC_SLOT_rootfs = "enf-gateway-image"
RAUC_SLOT_rootfs[fstype] = "ext4"
# The key and the certificate that sign it.
RAUC_KEY_FILE ?= ""
RAUC_CERT_FILE ?= ""
