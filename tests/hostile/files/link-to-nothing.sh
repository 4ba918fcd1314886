# shellcheck shell=bash disable=SC2154
# expect: read gone; serves good
# A link to a file that is not there.
ln -sf nowhere.wasm "$DIR/a.wasm"
