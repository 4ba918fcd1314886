# shellcheck shell=bash disable=SC2154
# expect: nothing; serves good
# A file that the daemon may not read: it is said, as whoever the daemon runs as.
chmod 755 . "$DIR" && chmod 000 "$DIR/a.wasm" || exit 1
cat >m.yaml <<'END'
apiVersion: trimtab.dev/v1alpha1
kind: InferenceScaler
metadata: {name: chat}
spec:
  interval: 1s
  pools: [{maxReplicas: 2, dryRun: {replicas: 1}}]
  policies: [{name: steer, policy: a}]
END
if [ "$(id -u)" = 0 ]; then
  command -v setpriv >/dev/null || { echo "there is no setpriv"; exit 77; }
  cp "$TRIMTAB" trimtab && chmod 755 trimtab
  said=$(setpriv --reuid 65534 --regid 65534 --clear-groups ./trimtab check -f m.yaml --policies "$DIR" 2>&1)
else
  said=$("$TRIMTAB" check -f m.yaml --policies "$DIR" 2>&1)
fi
chmod 644 "$DIR/a.wasm"
case $said in *"cannot be read"*) ;; *) echo "it says: $said"; exit 1 ;; esac
