# Only for distributions with "enf" in DISTRO_FEATURES: a layer must not change the kernels of others by being there.
FILESEXTRAPATHS:prepend := "${THISDIR}/linux-yocto:"
SRC_URI += "${@bb.utils.contains('DISTRO_FEATURES', 'enf', 'file://enf.scc', '', d)}"
SRC_URI += "${@'file://enf-acpi.cfg' if 'enf' in d.getVar('DISTRO_FEATURES').split() and 'acpi' in d.getVar('MACHINE_FEATURES').split() else ''}"
