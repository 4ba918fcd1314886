# shellcheck shell=bash disable=SC2154
# expect: imports foreign-import; serves good
# Two thousand good names, then one that is looked at all the same.
cd "$DIR" || exit 1
for n in $(seq -w 2000); do ln -s a.wasm "b$n.wasm"; done
printf '\0asm\1\0\0\0\2\7\1\1e\1f\0\0' >.new
mv .new a.wasm
