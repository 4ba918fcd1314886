# shellcheck shell=bash disable=SC2154
# expect: inspect precompiled; serves good
# The host's own machine code, as a cache of compiled code would hold it.
head -c 4096 "$TRIMTAB" >"$DIR/a.wasm"
