# shellcheck shell=bash disable=SC2154
# expect: done ok; serves evil
# The directory itself renamed away, another put in its place.
cp -r "$DIR" other
cp "$EVIL" other/a.wasm
mv "$DIR" away
mv other "$DIR"
