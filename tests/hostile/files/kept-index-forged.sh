# shellcheck shell=bash disable=SC2154
# expect: keep unreadable; serves nothing
# restart
# The index of what is kept, pointing out of its folder.
rm "$DIR/a.wasm"
sleep 1
sed -i 's|sha256:[0-9a-f]*|sha256:../../outside/evil|' "$STATE/modules/index.json"
