#!/bin/bash
# Runs what the test asks for, over a virtio serial port: no network, no login, and there before both.
# in: "ID SECONDS SCRIPT\n", the script in base64; out: "READY\n" once, then "ID EXIT-CODE OUTPUT\n", the output in base64.
exec 3<>/dev/virtio-ports/executor
echo READY >&3
while read -r id seconds script <&3; do
  [ -n "$script" ] || continue
  printf %s "$script" | base64 -d >/run/executor.script
  timeout "$seconds" bash /run/executor.script >/run/executor.output 2>&1 </dev/null 3>&-
  printf '%s %s %s\n' "$id" "$?" "$(base64 -w0 /run/executor.output)" >&3
done
