# What the scripts of booted guests have in common.
check() { # NAME COMMAND…
  local name=$1
  shift
  if "$@" >/root/said 2>&1; then echo "ok      $name"; else
    echo "FAILED  $name"
    sed 's/^/        /' /root/said | tail -15
  fi
}
eventually() { # COMMAND…: within half a minute
  for _ in $(seq 150); do "$@" >/root/last 2>&1 && return; sleep 0.2; done
  cat /root/last
  systemctl status --no-pager 'enf-*.service' | head -40
  return 1
}
show() { systemctl show --value -p "$1" "${2:-enf-agent.service}"; }
is() { [ "$1" = "$2" ] || { echo "got $1, expected $2"; return 1; }; }
