#!/bin/bash
# Inside a fresh Debian without a running systemd: what apt makes of the package. See install.sh.
set -uo pipefail
suite=$1
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
wrong=0
check() { # NAME COMMAND…
  local name=$1
  shift
  if "$@" >/tmp/said 2>&1; then echo "ok      $suite: $name"; else
    wrong=1
    echo "FAILED  $suite: $name"
    sed 's/^/        /' /tmp/said | tail -15
  fi
}
get() { apt-get install -y -qq --no-install-recommends --allow-downgrades "$@"; }
enabled() { [ -e /etc/systemd/system/multi-user.target.wants/enf-agent.service ]; }
says() { # TEXT COMMAND…: the command fails and says so
  local text=$1
  shift
  ! "$@" >/tmp/answer 2>&1 && grep -F "$text" /tmp/answer || { cat /tmp/answer; return 1; }
}

apt-get update -qq
if [ "$suite" = bookworm ]; then
  check "apt refuses, and names Node.js 20" says 'nodejs (>= 20)' apt-get install -y /packages/enf-agent.deb
  check "so it does for the fabric" says 'nodejs (>= 20)' apt-get install -y /packages/enf-fabric.deb
check "nothing was installed" says 'no packages found' dpkg-query -W enf-agent
  apt-get install -y -qq --no-install-recommends nodejs >/dev/null 2>&1
  check "dpkg says plainly what to do" says 'On Debian 12 install nodejs 20' dpkg -i /packages/enf-agent.deb
  check "it can be purged nevertheless" dpkg --purge enf-agent
  exit $wrong
fi

check "installs with this Debian's own packages" get /packages/enf-agent.deb
check "runs on its Node.js" enf-agent --version
check "loads its addon" node -e 'process.dlopen({ exports: {} }, "/usr/lib/enf-agent/enf.node")'
enf-agent check-config >/dev/null 2>&1
check "says with exit code 78 that it is not configured" [ $? = 78 ]
check "user enf is in group tss" bash -c 'id -nG enf | grep -w tss'
check "enabled at the next boot" enabled
check "every file is as it was packaged" dpkg --verify enf-agent

check "the fabric and the factory install, too" get /packages/enf-fabric.deb /packages/enf-factory.deb
check "their addons and the database driver fit this Node.js" bash -c 'enf-fabric init && enf-fabric network add fd00:1::/64 && enf-factory group create --name g --basename g --out /tmp/group'
check "what root founded is the service's" [ "$(stat -c %U /var/lib/enf-fabric/registry.db)" = enf-fabric ]
check "they are purged" apt-get purge -y -qq enf-fabric enf-factory
check "keys and registry stay" ls /var/lib/enf-fabric/xtt-root.key
rm -rf /var/lib/enf-fabric

sed -i 's/^# hosts.*/hosts = ["127.0.0.1"]/' /etc/enf/agent.toml
check "a configuration that can be used" enf-agent check-config
install -d -o enf -g enf -m 700 /var/lib/enf-agent 2>/dev/null || mkdir -p /var/lib/enf-agent
echo identity >/var/lib/enf-agent/state-0
systemctl disable enf-agent >/dev/null 2>&1
check "upgrades" get /packages/enf-agent-next.deb
check "keeps the configuration" grep -q '^hosts = \["127.0.0.1"\]' /etc/enf/agent.toml
check "stays disabled if an administrator disabled it" bash -c '! [ -e /etc/systemd/system/multi-user.target.wants/enf-agent.service ]'
check "C-38 goes back to the version before" get /packages/enf-agent.deb
systemctl enable enf-agent >/dev/null 2>&1
check "is removed" apt-get remove -y -qq enf-agent
check "removed, its configuration and its state stay" [ -e /etc/enf/agent.toml -a -e /var/lib/enf-agent/state-0 ]
check "comes again" get /packages/enf-agent.deb
check "enabled again" enabled
check "is purged" apt-get purge -y -qq enf-agent
left=$(find / -xdev \( -path /proc -o -path /packages \) -prune -o \( -name '*enf-*' -o -path '/etc/enf*' \) -print | grep -v '^/usr/share/\|^/var/cache')
check "nothing is left" [ -z "$left" ]
[ -z "$left" ] || printf '        %s\n' $left
exit $wrong
