# shellcheck shell=bash disable=SC2154
# expect: done ok; serves evil
# Two files renamed over each other, written in place, linked and truncated as fast as it goes, while the loader reads.
for _ in $(seq 150); do
  cp "$GOOD" "$DIR/.new"
  mv "$DIR/.new" "$DIR/a.wasm"
  cat "$EVIL" >"$DIR/a.wasm"
  head -c 200 "$GOOD" >"$DIR/a.wasm"
  tail -c +201 "$GOOD" >>"$DIR/a.wasm"
  ln -sf "$EVIL" "$DIR/.link"
  mv "$DIR/.link" "$DIR/a.wasm"
  rm -f "$DIR/a.wasm"
done
cp "$EVIL" "$DIR/.new"
mv "$DIR/.new" "$DIR/a.wasm"
