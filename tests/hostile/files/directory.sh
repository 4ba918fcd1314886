# shellcheck shell=bash disable=SC2154
# expect: read directory; serves good
# A directory under a policy's name.
rm "$DIR/a.wasm"
mkdir "$DIR/a.wasm"
