#!/bin/bash
# On a booted Debian in a container: the life of the packages enf-fabric and enf-factory, with a device that is the package enf-agent. See install.sh.
set -uo pipefail
exec >/result 2>&1
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
. /enf/test/packaging/checks.sh
active() { systemctl is-active --quiet "$1"; }
online() { systemctl is-active --quiet enf-online.target; }
# The device comes back by itself. Then it starts anew: outages that follow each other within a minute would make it pause for up to five.
again() {
  sleep 1
  for _ in 1 2 3 4; do eventually online && systemctl restart enf-agent && eventually online && return; done
  return 1
}
console() { node -e 'fetch("http://[::1]:8480/api/v1/me").then((r) => process.exit(r.status === 401 ? 0 : 1), () => process.exit(1))'; }
process() { local pid; pid=$(show MainPID "$1"); echo "$(stat -c %U /proc/$pid) $(awk '/^(CapEff|NoNewPrivs|Seccomp):/ { printf "%s ", $2 }' /proc/$pid/status)"; }
as_console() { setpriv --reuid=enf-console --regid=enf-console --groups="$(getent group enf-fabric | cut -d: -f3)" "$@"; }
address() { enf-agent status --json | sed -n 's/^  "address": "\(.*\)",$/\1/p'; }

# The commands of a section of docs/fabric.md, one after the other; of its Nth block alone, if N is given.
manual() {
  awk -v title="## $1" -v only="${2:-}" '
    $0 == title { on = 1; next } /^## / { on = 0 }
    on && /^```/ { block = ($0 == "```sh"); if (block) count++; next }
    on && block && (only == "" || only == count)' /enf/docs/fabric.md >/root/commands
  [ -s /root/commands ] && bash -ex /root/commands
}
# The files that a section of docs/fabric.md shows.
shown() { awk -v title="## $1" '$0 == title { on = 1; next } /^## / { on = 0 } on && /^```/ { block = ($0 == "```toml"); next } on && block' /enf/docs/fabric.md; }

dpkg -i /packages/0-nodejs.deb >/dev/null 2>&1
mkdir /root/try && cd /root/try
cp /packages/enf-fabric.deb enf-fabric_0.1.0.deb
cp /packages/enf-factory.deb enf-factory_0.1.0.deb
check "installs" bash -c 'dpkg -i /packages/enf-fabric.deb >/root/dpkg 2>&1 || { cat /root/dpkg; exit 1; }'
check "says what comes next" grep -F 'found a fabric with "enf-fabric init"' /root/dpkg
check "is enabled, and waits for a fabric" bash -c 'systemctl is-enabled enf-fabric enf-console && systemctl start enf-fabric enf-console; ! systemctl is-active enf-fabric'
check "docs/fabric.md, from an empty machine to the first device" manual 'From an empty machine to the first device'
check "what root founded is the service's" is "$(find /var/lib/enf-fabric -not -user enf-fabric)" ""
check "and closed to others" is "$(stat -c '%U:%G %a' /var/lib/enf-fabric)" "enf-fabric:enf-fabric 750"
check "is ready" bash -c "systemctl is-active enf-fabric enf-console"
check "at its ports" bash -c 'ss -ltn | grep -F :443 && ss -ltn | grep -F :444'
check "the console answers" eventually console
check "the fabric may do what it needs" is "$(process enf-fabric)" "enf-fabric 0000000000001400 1 2 "
check "the console may do nothing" is "$(process enf-console)" "enf-console 0000000000000000 1 2 "
check "exposure of the fabric at most 2.0" systemd-analyze security --threshold=20 enf-fabric.service
check "exposure of the console at most 1.5" systemd-analyze security --threshold=15 enf-console.service
check "the console's user can read no key and no registry" bash -c \
  "$(declare -f as_console); as_console true && ! as_console cat /var/lib/enf-fabric/xtt-root.key && ! as_console cat /var/lib/enf-fabric/registry.db && ! as_console ls /var/lib/enf-fabric/nothing"
check "its own network is up" bash -c 'ip -6 addr show dev enf-fabric0'

# A device with a software TPM.
mkdir /root/tpm
systemd-run --quiet --unit=tpm swtpm socket --tpm2 --tpmstate dir=/root/tpm --flags startup-clear,not-need-init \
  --server type=tcp,port=2321 --ctrl type=tcp,port=2322
TCTI=swtpm:host=127.0.0.1,port=2321
check "a credential" eventually enf-factory device personalise --group /root/try/march --trust /var/lib/enf-fabric/trust.json --tcti $TCTI
check "a device" dpkg -i /packages/enf-agent.deb
printf '[remote]\nhosts = ["127.0.0.1"]\n[tpm]\ntcti = "%s"\n[tunnel]\nheartbeat-period = "1s"\nheartbeat-timeout = "1s"\n' "$TCTI" >/etc/enf/agent.toml
systemctl restart enf-agent
check "is online" eventually online
first=$(address)
check "and reachable from the fabric's host" eventually ping -6 -c 1 -W 2 "$first"

check "docs/fabric.md, ports and firewall" manual 'Ports and firewall'
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=fabric.example.net -keyout /etc/enf/console.key -out /etc/enf/console.pem >/dev/null 2>&1
chgrp enf-console /etc/enf/console.key
chmod 640 /etc/enf/console.key
cp /etc/enf/fabric.toml /root/fabric.toml
shown 'The console for others' >/etc/enf/fabric.toml
check "docs/fabric.md, the console for others" manual 'The console for others'
check "the console answers with TLS" eventually curl -sfk https://localhost:8480/
cp /root/fabric.toml /etc/enf/fabric.toml
systemctl restart enf-console

pid=$(show MainPID enf-fabric)
check "docs/fabric.md, certificates" manual 'Certificates and roots' 1
check "docs/fabric.md, the next roots" manual 'Certificates and roots' 2
learned() { enf-agent status --json | grep -F '"version": '"$1"; }
check "of which the device learns" eventually learned 2
check "docs/fabric.md, the end of the former root" eventually manual 'Certificates and roots' 3
check "which the device has heard" eventually learned 3
check "all in the same process, and what it made is the service's" is "$(show MainPID enf-fabric) $(find /var/lib/enf-fabric -not -user enf-fabric)" "$pid "
check "killed, it comes back by itself" bash -c 'systemctl kill --signal=KILL enf-fabric; sleep 3; for _ in $(seq 100); do systemctl is-active --quiet enf-fabric && exit 0; sleep 0.2; done; exit 1'
check "and the device" again
check "backs up" bash -c 'umask 077; echo some random words >/root/words; enf-fabric backup create /root/fabric.backup --passphrase-file /root/words'

check "sends its devices away before an upgrade" bash -c 'enf-fabric drain --within 0 --retry-after 15 | grep -F "come back 15 s after"'
check "and keeps them if there is none" bash -c 'enf-fabric drain --resume | grep -F "in service"'
pid=$(show MainPID enf-fabric)
check "upgrades" dpkg -i /packages/enf-fabric-next.deb
check "into a new process" bash -c "[ \$(systemctl show --value -p MainPID enf-fabric) != $pid ] && systemctl is-active enf-fabric enf-console"
check "the device is online again" again
check "with the same address" is "$(address)" "$first"
systemctl stop enf-fabric
printf '\0\0\377\377' | dd of=/var/lib/enf-fabric/registry.db bs=1 seek=60 conv=notrunc status=none
check "does not go back to a version that cannot read the registry" bash -c \
  '! dpkg -i --force-downgrade /packages/enf-fabric.deb >/root/dpkg 2>&1 && grep "cannot read the registry" /root/dpkg && dpkg-query -W -f "\${Version} \${db:Status-Status}" enf-fabric | grep "next installed"'
check "and serves on" eventually active enf-fabric
check "the device is online again" again
check "goes back to one that can" dpkg -i --force-downgrade /packages/enf-fabric.deb
check "the device is online again" again
check "docs/fabric.md, upgrading" manual 'Upgrading and going back'
check "the device is online again" again

echo 'tunnel.threads = 99' >>/etc/enf/fabric.toml
check "a wrong configuration is found" bash -c '! enf-fabric check-config'
systemctl restart enf-fabric 2>/dev/null
check "ends with 78, and is not tried again" is "$(show ExecMainStatus enf-fabric) $(show ActiveState enf-fabric)" "78 failed"
sed -i '$d' /etc/enf/fabric.toml
systemctl restart enf-fabric
check "the device is online again" again

check "is removed" dpkg --remove enf-fabric enf-factory
check "removed, nothing of it runs" bash -c '! pgrep -u enf-fabric && ! pgrep -u enf-console && ! ip link show enf-fabric0'
check "comes again" dpkg -i /packages/enf-fabric.deb
check "and is what it was" again
check "is purged" bash -c 'dpkg --purge enf-fabric >/root/dpkg 2>&1 || { cat /root/dpkg; exit 1; }'
check "purged, keys and registry stay unless somebody says so" bash -c 'grep -F "stay in /var/lib/enf-fabric" /root/dpkg && ls /var/lib/enf-fabric/xtt-root.key'
check "comes again" dpkg -i /packages/enf-fabric.deb
check "the same address, one handshake" is "$(address) $(enf-fabric audit --handshakes --json | grep -c '"result": "ok"')" "$first 1"
echo 'enf-fabric enf-fabric/purge-data boolean true' | debconf-set-selections
check "is purged with its data" dpkg --purge enf-fabric
check "and nothing is left" is "$(find /etc /var/lib /run /usr/lib/enf-fabric /usr/lib/systemd -name '*enf-fabric*' -not -path '/var/lib/dpkg/*' 2>/dev/null)" ""

check "restores an encrypted backup on a new host, and the device comes by itself" bash -c \
  'dpkg -i /packages/enf-fabric.deb && enf-fabric restore /root/fabric.backup --passphrase-file /root/words && systemctl start enf-fabric'
check "restored, the files are the service's" is "$(find /var/lib/enf-fabric -not -user enf-fabric)" ""
check "the device is online again" again
check "with the same address, without a handshake" is "$(address) $(enf-fabric audit --handshakes --json | grep -c '"result": "ok"')" "$first 1"
systemctl start enf-console
check "docs/fabric.md, moving away" manual 'Moving to another host' 1
mv /var/lib/enf-fabric /root/old
check "docs/fabric.md, moving to a host" manual 'Moving to another host' 2
check "the device is online again" again
check "with the same address" is "$(address)" "$first"

# A fabric that was run by hand before there was a package.
echo 'enf-fabric enf-fabric/purge-data boolean true' | debconf-set-selections
check "is purged with its data" dpkg --purge enf-fabric
check "root runs a fabric by hand" bash -c 'node /enf/dist/enf-fabric.mjs init && node /enf/dist/enf-fabric.mjs network add fd00:e4f:1::/64'
check "the package takes it over" bash -c 'dpkg -i /packages/enf-fabric.deb && systemctl is-active enf-fabric enf-console'
check "with all its files" is "$(find /var/lib/enf-fabric -not -user enf-fabric)" ""
check "what root does while it is stopped stays the service's" bash -c 'systemctl stop enf-fabric && enf-fabric network add fd00:e4f:2::/64 && [ -z "$(find /var/lib/enf-fabric -not -user enf-fabric)" ] && systemctl start enf-fabric'
echo "all done"
