# shellcheck shell=bash disable=SC2154
# expect: done ok; serves good
# restart
# The index of what is kept, no JSON any more.
head -c 1000 /dev/urandom >"$STATE/modules/index.json"
