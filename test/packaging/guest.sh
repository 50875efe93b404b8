#!/bin/bash
# On a booted Debian in a container: the package's whole life with a fabric on loopback and a software TPM. See install.sh.
set -uo pipefail
exec >/result 2>&1
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
. /enf/test/packaging/checks.sh
online() { systemctl is-active --quiet enf-online.target && [ -e /run/enf-agent/online ]; }
offline() { ! systemctl is-active --quiet enf-online.target && systemctl is-active --quiet enf-offline.target && [ ! -e /run/enf-agent/online ]; }
address() { enf-agent status --json | sed -n 's/^  "address": "\(.*\)",$/\1/p'; }
handshakes() { fabric audit --handshakes --json | grep -c '"result": "ok"'; }
fabric() { node /enf/dist/enf-fabric.mjs "$@" --data /root/fabric; }
factory() { node /enf/dist/enf-factory.mjs "$@"; }

# The rest of the world: a TPM and a fabric.
mkdir /root/tpm
systemd-run --quiet --unit=tpm swtpm socket --tpm2 --tpmstate dir=/root/tpm --flags startup-clear,not-need-init \
  --server type=tcp,port=2321 --ctrl type=tcp,port=2322
TCTI=swtpm:host=127.0.0.1,port=2321
fabric init >/dev/null
fabric network add fd00:e4f:1::/64 >/dev/null
factory group create --name Batch --basename batch --out /root/group >/dev/null
eventually factory device personalise --group /root/group --trust /root/fabric/trust.json --tcti $TCTI
fabric group add --label /root/group/label.txt --network fd00:e4f:1::/64 >/dev/null
systemd-run --quiet --unit=fabric node /enf/dist/enf-fabric.mjs serve --data /root/fabric

check "installs" bash -c 'dpkg -i /packages/0-nodejs.deb 2>/dev/null; dpkg -i /packages/enf-agent.deb >/root/dpkg 2>&1 || { cat /root/dpkg; exit 1; }'
check "says what to configure" grep -F 'set remote.hosts in /etc/enf/agent.toml to your fabric' /root/dpkg
check "is enabled, and not started" bash -c 'systemctl is-enabled enf-agent && ! systemctl is-active enf-agent'
systemctl start enf-agent 2>/dev/null
check "unconfigured it ends with 78, once" is "$(show ExecMainStatus) $(show NRestarts) $(show ActiveState)" "78 0 failed"
check "and is offline" eventually offline

cat >/etc/enf/agent.toml <<TOML
[remote]
hosts = ["127.0.0.1"]
[tpm]
tcti = "$TCTI"
[tunnel]
heartbeat-period = "1s"
heartbeat-timeout = "1s"
TOML
check "starts, and is ready" systemctl restart enf-agent
check "C-3 enf-online.target becomes active" eventually online
first=$(address)
check "systemctl shows where it stands" is "$(show StatusText)" "online as $first"
check "its interface has the address" bash -c "ip -6 addr show dev enf0 | grep -F '$first/128'"
check "one handshake" is "$(handshakes)" 1

pid=$(show MainPID)
check "C-S runs as enf with one capability, no new privileges, under seccomp" is \
  "$(stat -c %U /proc/$pid) $(awk '/^(CapEff|CapBnd|NoNewPrivs|Seccomp):/ { printf "%s ", $2 }' /proc/$pid/status)" \
  "enf 0000000000001000 0000000000001000 1 2 "
check "C-S exposure at most 1.8" systemd-analyze security --threshold=18 enf-agent.service
check "C-S so are instances" systemd-analyze security --threshold=18 enf-agent@lab.service
check "the group enf may ask it, others may not" bash -c \
  'setpriv --reuid=nobody --regid=enf --clear-groups enf-agent status && ! setpriv --reuid=nobody --regid=nogroup --clear-groups enf-agent status'
check "C-19 its state is its own" is "$(stat -c '%U %a' /var/lib/enf-agent) $(stat -c '%U %a' /run/enf-agent)" "enf 700 enf 750"
echo "        resident $(awk '/^VmRSS/ { print $2 }' /proc/$pid/status) KiB, at most $(awk '/^VmHWM/ { print $2 }' /proc/$pid/status) KiB"
before=$(awk '/^write_bytes/ { print $2 }' /proc/$pid/io)
sleep 3
check "C-21 writes nothing while it is online" is "$(awk '/^write_bytes/ { print $2 }' /proc/$pid/io)" "$before"

# C-3: what waits for enf-online.target can bind the address at once, twenty times out of twenty.
cat >/root/bind.cjs <<JS
const say = (word) => require('fs').appendFileSync('/root/bound', word + '\\n');
const server = require('net').createServer().on('error', (error) => { say(error.code); process.exit(0); });
server.listen(7, process.argv[2], () => { say('yes'); process.exit(0); });
JS
cat >/etc/systemd/system/bind.service <<UNIT
[Unit]
After=enf-online.target
BindsTo=enf-online.target
StartLimitIntervalSec=0
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/node /root/bind.cjs $first
[Install]
WantedBy=enf-online.target
UNIT
systemctl enable --quiet bind.service
for round in $(seq 20); do
  systemctl stop enf-agent
  eventually offline || break
  systemctl start enf-agent
  eventually [ -s /root/bound ] && eventually bash -c "[ \$(wc -l </root/bound) -ge $round ]" || break
done
check "C-3 the address can be bound at once, 20 of 20" is "$(sort /root/bound | uniq -c | tr -s ' ')" " 20 yes"
check "C-3 nobody gets online by asking for it" bash -c 'systemctl stop enf-agent && sleep 0.5 && ! systemctl start enf-online.target && ! systemctl is-active enf-online.target && systemctl start enf-agent'
check "C-3 online again" eventually online

check "C-33 C-35 killed, it is offline at once and comes back by itself" bash -c \
  'systemctl kill --signal=KILL enf-agent; for _ in $(seq 20); do systemctl is-active --quiet enf-online.target || exit 0; sleep 0.1; done; exit 1'
check "C-33 with the same address" eventually online
check "C-33 with the same address" is "$(address)" "$first"
systemctl stop fabric
check "C-3 without its fabric it is offline" eventually offline
check "C-34 and not restarted for that" is "$(show ActiveState) $(show NRestarts)" "active 1"
systemd-run --quiet --unit=fabric2 node /enf/dist/enf-fabric.mjs serve --data /root/fabric
check "C-3 and online when it is back" eventually online

pid=$(show MainPID)
check "C-38 upgrades" dpkg -i /packages/enf-agent-next.deb
check "C-38 into a new process" bash -c "[ \$(systemctl show --value -p MainPID enf-agent) != $pid ]"
check "C-38 online again" eventually online
check "C-38 goes back" dpkg -i --force-downgrade /packages/enf-agent.deb
check "C-38 online again" eventually online
check "still the same address, still one handshake" is "$(address) $(handshakes)" "$first 1"

# It has the same TPM, so at the same fabric it would be the same device and take its place: nobody answers at its port.
sed -e 's/^hosts = .*/hosts = ["127.0.0.1"]\nidentity-port = 9/' /usr/share/doc/enf-agent/examples/instance.toml >/etc/enf/lab.toml
printf '\n[tpm]\ntcti = "%s"\n' "$TCTI" >>/etc/enf/lab.toml
check "a further instance has its own places" bash -c 'systemctl start enf-agent@lab && [ "$(stat -c %U:%a /var/lib/enf-agent-lab)" = enf:700 ] && enf-agent status --config /etc/enf/lab.toml'
systemctl stop enf-agent@lab
rm /etc/enf/lab.toml

check "is removed" dpkg --remove enf-agent
check "removed, nothing of it runs" bash -c '! pgrep -u enf && ! systemctl is-active enf-agent enf-online.path enf-online.target'
check "removed, its identity stays" bash -c 'ls /var/lib/enf-agent/state-*'
check "comes again" dpkg -i /packages/enf-agent.deb
check "and is who it was" eventually online
check "and is who it was" is "$(address) $(handshakes)" "$first 1"
systemctl disable --quiet bind.service
check "is purged" dpkg --purge enf-agent
check "purged, nothing is left" is "$(find /etc /var/lib /run /usr/lib/enf-agent /usr/lib/systemd -name '*enf*' -not -path '/var/lib/dpkg/*' 2>/dev/null)" ""
check "nothing has failed" is "$(systemctl list-units --failed --no-legend --plain | awk '$1 !~ /modules-load|udev|sysctl|binfmt|mount/ { print $1 }')" ""
echo "all done"
