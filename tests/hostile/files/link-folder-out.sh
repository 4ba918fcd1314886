# shellcheck shell=bash disable=SC2154
# expect: read outside-link; serves good
# A link within the directory that leads through a folder which is itself a link out of it.
ln -s "$(dirname "$EVIL")" "$DIR/..data"
ln -sf ..data/evil.wasm "$DIR/a.wasm"
