# shellcheck shell=bash disable=SC2154
# expect: nothing; serves good
# Names that begin with a dot, which editors and careful writers use.
cp "$EVIL" "$DIR/.b.wasm"
cp "$EVIL" "$DIR/.wasm"
mkdir "$DIR/.tenant"
cp "$EVIL" "$DIR/.tenant/b.wasm"
