# shellcheck shell=bash disable=SC2154
# expect: done ok; serves evil
# A symbolic link to a good module within the directory, as a ConfigMap has them: allowed.
mkdir "$DIR/..data-1"
cp "$EVIL" "$DIR/..data-1/a.wasm"
ln -s ..data-1 "$DIR/..data"
ln -sf ..data/a.wasm "$DIR/.new"
mv "$DIR/.new" "$DIR/a.wasm"
