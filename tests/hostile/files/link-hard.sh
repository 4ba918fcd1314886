# shellcheck shell=bash disable=SC2154
# expect: done ok; serves evil
# A hard link to a file outside: a file like any other.
ln -f "$EVIL" "$DIR/a.wasm"
