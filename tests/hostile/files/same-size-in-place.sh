# shellcheck shell=bash disable=SC2154
# expect: done ok; serves evil
# Other bytes of the same number in place, with the old times put back: no event, no stamp would tell.
touch -r "$DIR/a.wasm" reference
cat "$EVIL" >"$DIR/a.wasm"
touch -r reference "$DIR/a.wasm"
