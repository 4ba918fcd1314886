# shellcheck shell=bash disable=SC2154
# expect: read outside-link; serves good
# A symbolic link to a good module outside of the directory.
ln -sf "$EVIL" "$DIR/a.wasm"
