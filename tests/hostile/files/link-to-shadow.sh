# shellcheck shell=bash disable=SC2154
# expect: read outside-link; serves good
# A link to a file that only root may read, whose first lines a message might quote.
ln -sf /etc/shadow "$DIR/a.wasm"
