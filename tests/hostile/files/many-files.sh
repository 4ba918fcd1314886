# shellcheck shell=bash disable=SC2154
# expect: any; serves good
# Ten thousand files that sort before every policy, and before the folder of every tenant.
cd "$DIR" || exit 1
for n in $(seq -w 10000); do echo "no module $n" >"$n.wasm"; done
