#!/bin/sh
# Every public header compiles alone, as C11 and as C++.
#
#   headers.sh SOURCE_DIR CC
cd "$1/core/api" || exit 1
status=0
for header in *.h; do
    printf '#include "%s"\nint main(void) { return 0; }\n' "$header" >"${TMPDIR:-/tmp}/kiln-header-$$.c"
    $2 -std=c11 -Wall -Wextra -Werror -pedantic -I. -fsyntax-only "${TMPDIR:-/tmp}/kiln-header-$$.c" || {
        echo "$header does not compile alone"
        status=1
    }
done
rm -f "${TMPDIR:-/tmp}/kiln-header-$$.c"
exit $status
