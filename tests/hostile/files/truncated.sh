# shellcheck shell=bash disable=SC2154
# expect: inspect incomplete; serves good
# The first half.
head -c 300 "$EVIL" >"$DIR/.new"
mv "$DIR/.new" "$DIR/a.wasm"
