# shellcheck shell=bash disable=SC2154
# expect: done ok; serves evil
# A link that leaves the directory and comes back to it: what counts is where it ends.
cp "$EVIL" "$DIR/.evil"
ln -sf "$DIR/../policies/.evil" "$DIR/.new"
mv "$DIR/.new" "$DIR/a.wasm"
