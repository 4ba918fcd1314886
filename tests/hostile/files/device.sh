# shellcheck shell=bash disable=SC2154
# expect: read device; serves good
# A device that never ends.
mknod "$DIR/.new" c 1 5 2>/dev/null || { echo "making a device needs more rights"; exit 77; }
mv "$DIR/.new" "$DIR/a.wasm"
