# shellcheck shell=bash disable=SC2154
# expect: read not-a-file; serves good
# A socket.
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' .socket 2>/dev/null ||
  { echo "there is no python3"; exit 77; }
mv .socket "$DIR/a.wasm"
