SUMMARY = "A gateway on an Edge Network Fabric: the agent, and what operators need beside it"

inherit packagegroup features_check
REQUIRED_DISTRO_FEATURES = "systemd ipv6"

RDEPENDS:${PN} = "enf-agent nftables tpm2-tools"
