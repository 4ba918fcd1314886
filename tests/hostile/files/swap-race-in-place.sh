# shellcheck shell=bash disable=SC2154
# expect: done ok; serves evil
# The two halves of two files mixed in place: each mixture is a whole file, and neither of the two.
for _ in $(seq 300); do
  dd if="$GOOD" of="$DIR/a.wasm" conv=notrunc status=none
  dd if="$EVIL" of="$DIR/a.wasm" conv=notrunc status=none
done
