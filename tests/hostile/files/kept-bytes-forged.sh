# shellcheck shell=bash disable=SC2154
# expect: keep unreadable; serves nothing
# restart
# The last good version, forged where it is kept.
rm "$DIR/a.wasm"
sleep 1
for kept in "$STATE"/modules/*.wasm; do cat "$EVIL" >"$kept"; done
