# shellcheck shell=bash disable=SC2154
# expect: read too-large; serves good
# One byte more than 64 MiB.
truncate -s 67108865 "$DIR/.new"
mv "$DIR/.new" "$DIR/a.wasm"
