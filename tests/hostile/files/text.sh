# shellcheck shell=bash disable=SC2154
# expect: inspect not-wasm; serves good
# A script.
printf '#!/bin/sh\necho policy\n' >"$DIR/a.wasm"
