# shellcheck shell=bash disable=SC2154,SC2016
# expect: nothing; serves good
# Names with spaces, line breaks, quotes, escapes, other alphabets, a path, and one that is too long.
cd "$DIR" || exit 1
for name in 'b c' $'b\nc' "b'c" $'b\e[2J' 'bä' 'b%2e%2e%2fc' 'b"c' '$(id)' 'b;c' 'b\c' "$(printf 'x%.0s' $(seq 64))"; do
  cp "$EVIL" "$name.wasm"
done
