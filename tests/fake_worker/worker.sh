#!/bin/sh
# Starts the fake worker of a test. The pool runs this through a link in the test's own folder, whose path is $0.
stage=${0%/*}
echo $$ >>"$stage/pids"
if [ -e "$stage/mute" ]; then
	exec 2>/dev/null
fi
rights=
if [ -e "$stage/bare" ] && [ "$(id -u)" = 0 ]; then
	rights="setpriv --inh-caps=-all --bounding-set=-all"
fi
WASMPOOL_FAKE=$stage WASMPOOL_TOLD="$*" exec $rights "$stage/program" fake_worker::entry --exact --nocapture --test-threads=1 >/dev/null
