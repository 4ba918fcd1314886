# shellcheck shell=bash disable=SC2154
# expect: inspect invalid; serves good
# A file that grows while it is read, and goes on growing.
for _ in $(seq 100); do
  head -c 65536 /dev/zero >>"$DIR/a.wasm"
  sleep 0.02
done
