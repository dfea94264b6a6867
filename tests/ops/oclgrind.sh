#!/bin/sh
# Runs a test program in the OpenCL simulator, whose exit status says nothing:
# its log must stay empty.
#     oclgrind.sh OCLGRIND PROGRAM
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
"$1" --log "$log" --data-races --local-mem-size 131072 "$2" || exit 1
[ -s "$log" ] || exit 0
head -50 "$log"
exit 1
