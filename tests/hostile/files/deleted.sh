# shellcheck shell=bash disable=SC2154
# expect: gone gone; serves good
# Nothing.
rm "$DIR/a.wasm"
