SUMMARY = "Keeps the identity of the agent on the data partition"
DESCRIPTION = "On a read-only root, OpenEmbedded puts a tmpfs over /var/lib (volatile-binds): the identity would be lost at each boot. \
This mounts a folder of the data partition there instead."
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://state.mount.in"
ENF_DATA ?= "/data"

inherit systemd allarch features_check
REQUIRED_DISTRO_FEATURES = "systemd"

# A unit is called as the path is, escaped.
UNIT = "var-lib-enf\x2dagent.mount"
SYSTEMD_SERVICE:${PN} = "${UNIT}"

do_configure[noexec] = "1"
do_compile[noexec] = "1"
python do_install() {
    import os
    folder = d.getVar('D') + d.getVar('systemd_system_unitdir')
    bb.utils.mkdirhier(folder)
    bb.utils.mkdirhier(d.getVar('D') + d.getVar('ENF_DATA'))
    # scarthgap has no UNPACKDIR.
    places = [os.path.join(d.getVar(name) or '', 'state.mount.in') for name in ('UNPACKDIR', 'WORKDIR')]
    with open(next(path for path in places if os.path.exists(path))) as source:
        text = source.read().replace('@DATA@', d.getVar('ENF_DATA'))
    with open(os.path.join(folder, d.getVar('UNIT')), 'w') as unit:
        unit.write(text)
}

FILES:${PN} += "${ENF_DATA} ${systemd_system_unitdir}"
