# shellcheck shell=bash disable=SC2154
# expect: done ok; serves evil
# A good file that is written a few bytes at a time.
: >"$DIR/a.wasm"
size=$(stat -c %s "$EVIL")
for at in $(seq 0 100 "$size"); do
  tail -c +$((at + 1)) "$EVIL" | head -c 100 >>"$DIR/a.wasm"
  sleep 0.05
done
