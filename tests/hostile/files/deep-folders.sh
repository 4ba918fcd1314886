# shellcheck shell=bash disable=SC2154
# expect: nothing; serves good
# Folders within folders, and a folder that is a link to its own parent.
mkdir -p "$DIR/t/u/v"
cp "$EVIL" "$DIR/t/u/v/b.wasm"
ln -s .. "$DIR/t/up"
ln -s / "$DIR/root"
