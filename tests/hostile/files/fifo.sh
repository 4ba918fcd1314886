# shellcheck shell=bash disable=SC2154
# expect: read fifo; serves good
# A FIFO, on which a reader waits for ever.
mkfifo "$DIR/.new"
mv "$DIR/.new" "$DIR/a.wasm"
