# shellcheck shell=bash disable=SC2154
# expect: read too-large; serves good
# A file of 1 TiB that takes no room on the disk.
truncate -s 1T "$DIR/.new" 2>/dev/null || { echo "this file system has no files of 1 TiB"; exit 77; }
mv "$DIR/.new" "$DIR/a.wasm"
