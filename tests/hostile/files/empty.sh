# shellcheck shell=bash disable=SC2154
# expect: inspect empty; serves good
# An editor's truncation that nothing follows.
: >"$DIR/a.wasm"
