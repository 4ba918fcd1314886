# shellcheck shell=bash disable=SC2154
# expect: read outside-link; serves good
# A link to the loader's own memory.
ln -sf /proc/self/mem "$DIR/a.wasm"
