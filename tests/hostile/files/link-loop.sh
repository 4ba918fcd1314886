# shellcheck shell=bash disable=SC2154
# expect: read unreadable; serves good
# Two links to each other.
rm "$DIR/a.wasm"
ln -s b.link "$DIR/a.wasm"
ln -s a.wasm "$DIR/b.link"
