#!/bin/bash
# Three nodes in namespaces of a booted guest, with what lies between them as docs/scale.md has it: by the kernel's WireGuard, then by IPsec of strongSwan.
# Beside it: scale.md, and for each node bird.conf as "enf-fabric bgp config" makes it. Prints "ok WHAT" for each check; the first "not ok WHAT" ends it.
set -u
umask 077
nodes=(a b c)
device=fd00:1::d
declare -A number=([a]=1 [b]=2 [c]=3)
inner() { echo "fd99::${number[$1]}"; }
outer() { echo "fd97::${number[$1]}"; }
others() { local each; for each in "${nodes[@]}"; do [ "$each" = "$1" ] || echo "$each"; done; }
on() { local node=$1; shift; ip netns exec "$node" "$@"; }

check() {
  local what=$1
  shift
  if "$@" >/tmp/said 2>&1; then echo "ok $kind: $what"; else
    echo "not ok $kind: $what"
    tail -n 30 /tmp/said /tmp/charon-* | sed 's/^/  /'
    exit 1
  fi
}
eventually() { local _; for _ in $(seq 150); do "$@" && return; sleep 0.2; done; return 1; }
refused() { ! "$@"; }

# The block of the page whose first line this is, or that has it; for node $2 and its tunnel to $3.
documented() {
  awk -v first="$1" '/^```/ { if (on && found) exit; on = !on; text = ""; next } on { text = text $0 "\n"; if (index($0, first) == 1) found = 1 } END { printf "%s", text }' scale.md
}
filled() {
  sed -e "s/PUBLIC-KEY-OF-B/$(cat "keys/$3" 2>/dev/null | sed 's,[/&],\\&,g')/" -e "s/51802/@to@/; s/51801/5180${number[$2]}/; s/@to@/5180${number[$3]}/" \
    -e "s/fd99::1/@own@/g; s/fd99::2/$(inner "$3")/g; s/@own@/$(inner "$2")/g" \
    -e "s/fe80::1/fe80::${number[$2]}/" \
    -e "s/2001:db8::1/$(outer "$2")/g; s/2001:db8::2/$(outer "$3")/g" \
    -e "s/if_id 2/if_id ${number[$3]}/; s/\(if_id_[a-z]*\) = 2/\1 = ${number[$3]}/; s/xfrm-b/xfrm-$3/g" \
    -e "s/^  b {/  $3 {/; s/^      b {/      $3 {/; s/id = a/id = @a@/; s/id = b/id = $3/; s/@a@/$2/; s/\<a\.pem/@a@.pem/; s/\<b\.pem/$3.pem/; s/@a@/$2/"
}

for node in "${nodes[@]}"; do
  mkdir -p "/etc/netns/$node/wireguard"
  cp -r /etc/swanctl "/etc/netns/$node/"
done
mkdir -p keys

links() {
  ip netns add lan
  ip -n lan link add br0 type bridge mcast_snooping 0
  ip -n lan link set br0 up
  for node in "${nodes[@]}"; do
    ip netns add "$node"
    ip netns add "d$node"
    on "$node" sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0
    on "d$node" sysctl -qw net.ipv6.conf.default.accept_dad=0
    ip -n "$node" link set lo up
    ip -n lan link add "port-$node" type veth peer name eth0 netns "$node"
    ip -n lan link set "port-$node" master br0 up
    ip -n "$node" link set eth0 up
    ip -n "$node" address add "$(outer "$node")/64" dev eth0 nodad
    # What stands for the TUN device, and the devices behind it.
    ip -n "$node" link add tun0 type veth peer name d0 netns "d$node"
    ip -n "$node" link set tun0 mtu 1280 up
    ip -n "$node" address add fe80::1/64 dev tun0 nodad
    ip -n "d$node" link set d0 mtu 1280 up
    ip -n "d$node" route add default via fe80::1 dev d0
    ip -6 -n "$node" rule add priority 8380 table 100
  done
}

# Counts what passes the link: what is sealed, and what is not.
watch() {
  on lan nft "table netdev seen {
    counter sealed { }
    counter clear { }
    chain ingress {
      type filter hook ingress devices = { port-a, port-b, port-c } priority 0;
      icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, mld2-listener-report, destination-unreachable } accept
      $1 counter name sealed accept
      counter name clear
    }
  }"
}
seen() { on lan nft list counter netdev seen "$1" | awk '/packets/ { print $2 }'; }
nothing_clear() { echo "$(seen clear) in clear"; [ "$(seen clear)" = 0 ] && [ "$(seen sealed)" -gt 0 ]; }

established() {
  local node
  for node in "${nodes[@]}"; do
    [ "$(birdc -s "/run/$node.ctl" show protocols | grep -c '^enf-.*BGP.*Established')" = 2 ] || return 1
    [ "$(birdc -s "/run/$node.ctl" show bfd sessions | grep -c ' Up ')" = 2 ] || return 1
  done
}
# The device has its tunnel at this node, and a newer one than before.
generation=1000
moves_to() {
  local from=${at:-}
  at=$1 generation=$((generation + 1))
  ip -n "d$at" address add "$device/128" dev d0 nodad
  ip -n "$at" route add "$device/128" dev tun0 table 100 proto 77 metric $generation
  [ -n "$from" ] || return 0
  ip -n "d$from" address del "$device/128" dev d0
  ip -n "$from" route del "$device/128" dev tun0 table 100 proto 77
}
leads() { on "$1" ip -6 route get "$device" | tee -a /tmp/said | grep -q "via $(inner "$at") dev $name-$at "; }
reaches() { on "$1" ping -6 -c 1 -W 2 "${@:3}" "$2"; }
whole() { reaches "$1" "$2" -M do -s $(($3 - 48)); }
told() { whole "$1" "$2" "$3" 2>&1 | tee -a /tmp/said | grep -Eq "mtu[:=] ?$4|Message too long"; }

checks() {
  local mtu=$1 node
  for node in "${nodes[@]}"; do on "$node" bird -c "$node.conf" -s "/run/$node.ctl"; done
  check "BGP and BFD are up between all nodes" eventually established
  moves_to a
  for node in b c; do
    check "node $node sends what is for the device to node a" eventually leads $node
    check "and reaches it" eventually reaches $node $device
  done
  moves_to b
  for node in a c; do
    check "node $node sends it to node b once it has moved" eventually leads $node
    check "and reaches it there" eventually reaches $node $device
  done
  check "1,280 bytes arrive" whole c $device 1280
  check "more is too big for the device's tunnel" told c $device "$mtu" 1280
  check "$mtu bytes arrive at a node" whole c "$(inner a)" "$mtu"
  check "more is too big for the link" told c "$(inner a)" $((mtu + 1)) "$mtu"
  check "a host divides what it sends" eventually reaches c $device -s 3000
  check "nothing has passed the link in clear" nothing_clear
}
ends() {
  for node in "${nodes[@]}"; do birdc -s "/run/$node.ctl" down >/dev/null; done
  unset at
  sleep 1
  for node in "${nodes[@]}"; do ip netns del "$node"; ip netns del "d$node"; done
  ip netns del lan
}

kind=WireGuard name=wg
links
for node in "${nodes[@]}"; do
  on "$node" bash -ec "$(documented 'apt install wireguard-tools' | grep -v '^apt')" >"keys/$node"
done
for node in "${nodes[@]}"; do
  for peer in $(others "$node"); do
    documented '# /etc/wireguard/wg-b.conf' | filled wg "$node" "$peer" >"/etc/netns/$node/wireguard/wg-$peer.conf"
    check "wg-quick at node $node" on "$node" wg-quick up "wg-$peer"
  done
done
watch "udp dport 51801-51803"
checks 1420
ends

kind=IPsec name=xfrm
links
for node in "${nodes[@]}"; do
  on "$node" bash -ec "$(documented 'apt install charon-systemd' | grep -v '^apt' | sed "s/a\.pem.*/$node.pem/")"
  cp "/etc/netns/$node/swanctl/pubkey/$node.pem" keys/
done
watch "meta l4proto esp counter name sealed accept
      udp dport { 500, 4500 }"
for node in "${nodes[@]}"; do
  cp keys/*.pem "/etc/netns/$node/swanctl/pubkey/"
  for peer in $(others "$node"); do
    documented '# /etc/swanctl/conf.d/b.conf' | filled swanctl "$node" "$peer" >"/etc/netns/$node/swanctl/conf.d/$peer.conf"
  done
  cat >"/etc/netns/$node/strongswan.conf" <<CONF
charon-systemd {
  load_modular = yes
  filelog {
    log {
      path = /tmp/charon-$node
      default = 1
      flush_line = yes
    }
  }
  plugins {
    include /etc/strongswan.d/charon/*.conf
    vici {
      socket = unix:///run/$node.vici
    }
  }
}
CONF
  on "$node" /usr/sbin/charon-systemd >/dev/null 2>&1 &
done
for node in "${nodes[@]}"; do
  check "charon of node $node runs" eventually test -S "/run/$node.vici"
  for peer in $(others "$node"); do
    check "the interface to node $peer at node $node, and strongSwan" on "$node" bash -ec \
      "$(documented 'ip link add xfrm-b' | filled xfrm "$node" "$peer" | sed "s,swanctl,swanctl --uri unix:///run/$node.vici,; s,--uri \(.*\) --load-all,--load-all --uri \1,")"
  done
done
checks 1400
# Whatever becomes of its policies and keys, the interface sends nothing in clear.
kill -9 $(jobs -p)
on c ip xfrm policy flush
on c ip xfrm state flush
check "without keys and policies nothing is reached" refused reaches c "$(inner b)"
check "and nothing has left in clear" nothing_clear
ends
