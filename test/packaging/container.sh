#!/usr/bin/env bash
# The OCI image of the fabric where it belongs: unpacked and run by an OCI runtime, without root's rights, in a network of its own, with a
# device that gets its identity and its tunnel.
#   test/packaging/container.sh      one minute, more the first time; DEB=FILE: of that package, not one built now
# Needs root, crun, mmdebstrap and umoci. Changes nothing on this machine but .cache and dist.
set -uo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
die() { printf 'container.sh: %s\n' "$1" >&2; exit 1; }
[ "$(id -u)" = 0 ] || die "needs root"
# crun wants cgroups of the second version alone, which old hosts have beside the first: in a mount namespace of our own there is nothing else.
if [ -z "${OWN_MOUNTS:-}" ]; then
  exec unshare --mount --propagation private env OWN_MOUNTS=1 bash test/packaging/container.sh
fi
if [ -e /sys/fs/cgroup/unified ]; then
  umount --recursive --lazy /sys/fs/cgroup
  mount -t cgroup2 none /sys/fs/cgroup
fi
for tool in crun mmdebstrap umoci; do command -v $tool >/dev/null || die "$tool is not there: apt-get install crun mmdebstrap umoci"; done
failures=0
check() { # NAME COMMAND…
  local name=$1
  shift
  if "$@" >"$work/last" 2>&1; then echo "ok      $name"; else
    echo "FAILED  $name"
    sed 's/^/        /' "$work/last" | tail -15
    failures=$((failures + 1))
  fi
}
eventually() { # COMMAND…: within half a minute
  for _ in $(seq 150); do "$@" && return; sleep 0.2; done
  return 1
}
is() { [ "$1" = "$2" ] || { echo "got $1, expected $2"; return 1; }; }

bash setup.sh --tests || exit 1
mkdir -p .cache
work=$(mktemp -d "$root/.cache/container-XXXXXX")
fabric=enf-ct-fabric-$$ device=enf-ct-device-$$
stop() {
  crun --root "$work/run" delete --force serving >/dev/null 2>&1
  kill "${agent:-}" 2>/dev/null
  ip netns delete "$fabric" 2>/dev/null
  ip netns delete "$device" 2>/dev/null
  rm -rf "$work"
}
trap stop EXIT
bash packaging/container.sh --out "$work" ${DEB:+--deb "$DEB"} || exit 1
mkdir "$work/oci" "$work/volume" "$work/run"
tar -C "$work/oci" -xf "$work"/enf-fabric_*.tar
check "is called localhost/enf-fabric and its version" grep -F '"org.opencontainers.image.ref.name":"localhost/enf-fabric:' "$work/oci/index.json"
sed -i 's#localhost/enf-fabric:[^"]*#image#' "$work/oci/index.json"
umoci unpack --image "$work/oci:image" "$work/bundle" >/dev/null || exit 1

ip netns add "$fabric"
ip netns add "$device"
ip -n "$fabric" link add wire type veth peer name wire netns "$device"
for side in "$fabric 1" "$device 2"; do
  read -r ns n <<<"$side"
  ip -n "$ns" link set lo up
  ip -n "$ns" address add "198.51.100.$n/24" dev wire
  ip -n "$ns" link set wire up
done

# What an engine makes of "--cap-drop ALL --cap-add NET_ADMIN,NET_BIND_SERVICE --device /dev/net/tun --read-only -v VOLUME:/var/lib/enf-fabric".
# container NAME COMMAND…: runs it to its end. A volume is a mount point: it cannot be replaced by a rename.
container() {
  local name=$1
  shift
  node -e '
    const { readFileSync, writeFileSync } = require("node:fs");
    const [bundle, volume, network, ...command] = process.argv.slice(1);
    const spec = JSON.parse(readFileSync(`${bundle}/config.json`, "utf8"));
    const capabilities = ["CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE"];
    spec.process.args = ["/usr/bin/enf-fabric", ...command];
    spec.process.terminal = false;
    spec.process.noNewPrivileges = true;
    spec.process.capabilities = { bounding: capabilities, permitted: capabilities, effective: capabilities, inheritable: [], ambient: [] };
    spec.root.readonly = true;
    const here = (each) => each.destination !== "/var/lib/enf-fabric" && each.destination !== "/tmp";
    spec.mounts = spec.mounts.filter(here);
    spec.mounts.push({ destination: "/var/lib/enf-fabric", type: "bind", source: volume, options: ["rbind", "rw"] });
    spec.mounts.push({ destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev"] });
    spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type !== "network" && type !== "user");
    spec.linux.namespaces.push({ type: "network", path: `/run/netns/${network}` });
    delete spec.linux.uidMappings;
    delete spec.linux.gidMappings;
    spec.linux.devices = [{ path: "/dev/net/tun", type: "c", major: 10, minor: 200, fileMode: 0o666, uid: 0, gid: 0 }];
    delete spec.linux.resources;
    writeFileSync(`${bundle}/config.json`, JSON.stringify(spec));
  ' "$work/bundle" "$work/volume" "$fabric" "$@"
  crun --root "$work/run" --cgroup-manager=disabled run --bundle "$work/bundle" "$name" </dev/null
}
inside() { crun --root "$work/run" --cgroup-manager=disabled exec serving /usr/bin/enf-fabric "$@"; }
pid() { crun --root "$work/run" state serving | sed -n 's/.*"pid": \([0-9]*\).*/\1/p'; }
line() { awk -v name="$1:" '$1 == name { print $2 }' "/proc/$(pid)/status"; }

# As an engine gives a new volume what the image has at that place.
cp -a "$work/bundle/rootfs/var/lib/enf-fabric/." "$work/volume/"
chown --reference="$work/bundle/rootfs/var/lib/enf-fabric" "$work/volume"
chmod --reference="$work/bundle/rootfs/var/lib/enf-fabric" "$work/volume"
check "without a fabric it says what comes first" bash -c "$(declare -f container); work=$work fabric=$fabric; ! container none serve 2>$work/said && grep -F 'enf-fabric init' $work/said"
check "founds one in the volume" container init init
check "not a second one" bash -c "$(declare -f container); work=$work fabric=$fabric; ! container init init 2>$work/said && grep -F fabric.already-initialised $work/said"
container serving serve >"$work/out" 2>"$work/log" &
check "serves" eventually inside status --check
check "as root without root's rights" is "$(line CapEff) $(line CapBnd) $(line NoNewPrivs)" "0000000000001400 0000000000001400 1"
check "on a read-only system" bash -c "! crun --root $work/run --cgroup-manager=disabled exec serving /bin/touch /etc/x 2>/dev/null"
check "a network" inside network add fd00:e4f:c::/64
check "of which its host is ::1" eventually ip netns exec "$fabric" ping -6 -c 1 -W 2 fd00:e4f:c::1

# A device beside it.
check "a batch" node dist/enf-factory.mjs group create --name Container --basename container --out "$work/batch"
check "a credential" node dist/enf-factory.mjs device personalise --group "$work/batch" --trust "$work/volume/trust.json" --software "$work/credential"
cp "$work/batch/label.txt" "$work/volume/"
check "the batch is admitted" inside group add --label /var/lib/enf-fabric/label.txt --network fd00:e4f:c::/64
rm "$work/volume/label.txt"
printf '[remote]\nhosts = ["198.51.100.1"]\n[identity]\nmode = "software"\ncredential-dir = "%s"\n[state]\ndirectory = "%s"\n[control]\nsocket = "%s"\n' \
  "$work/credential" "$work/state" "$work/agent.sock" >"$work/agent.toml"
ip netns exec "$device" node dist/enf-agent.mjs run --config "$work/agent.toml" 2>"$work/agent.log" &
agent=$!
check "the device is online" eventually node dist/enf-agent.mjs status --check --config "$work/agent.toml"
address=$(node dist/enf-agent.mjs status --json --config "$work/agent.toml" | sed -n 's/^  "address": "\(.*\)",$/\1/p')
check "and the fabric's host reaches it" eventually ip netns exec "$fabric" ping -6 -c 1 -W 2 "$address"
check "a backup is made inside" inside backup create /tmp/fabric.tar
check "the console's user reaches the control socket, and no key" bash -c \
  "gid=\$(stat -c %g $work/volume/control.sock); [ \$(stat -c %a $work/volume/control.sock) = 660 ] && [ \$gid = \$(stat -c %g $work/bundle/rootfs/var/lib/enf-fabric) ] && ! setpriv --reuid 12345 --regid \$gid --clear-groups cat $work/volume/router.key"
crun --root "$work/run" kill serving TERM
check "it ends in order" bash -c "for _ in \$(seq 100); do crun --root $work/run state serving 2>/dev/null | grep -q running || exit 0; sleep 0.1; done; exit 1"
wait %1
check "with exit code 0" is "$?" 0
crun --root "$work/run" delete --force serving >/dev/null 2>&1
container serving serve >"$work/out" 2>"$work/log" &
check "comes again with its volume, and so does the device" eventually ip netns exec "$fabric" ping -6 -c 1 -W 2 "$address"
if [ $failures != 0 ]; then
  tail -20 "$work/log" "$work/agent.log"
  exit 1
fi
echo 'all done'
