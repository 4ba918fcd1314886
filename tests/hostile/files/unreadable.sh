# shellcheck shell=bash disable=SC2154
# expect: nothing; serves good
# A file that the daemon may not read: nobody lists the directory, and is told.
cp "$TRIMTAB" trimtab && chmod 755 . "$DIR" trimtab && chmod 000 "$DIR/a.wasm" || exit 1
if [ "$(id -u)" = 0 ]; then
  command -v setpriv >/dev/null || { echo "there is no setpriv"; exit 77; }
  as() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
else
  as() { "$@"; }
fi
said=$(as ./trimtab policy list --policies "$DIR" 2>&1)
chmod 644 "$DIR/a.wasm"
case $said in *"cannot be read"*) ;; *) echo "it says: $said"; exit 1 ;; esac
