#!/bin/sh
# The include rules: base -> graph -> plan -> device -> run -> bench -> report -> cli, a layer
# includes only layers to its left; models and backends include only core/api
# and their own folder.
#
#   layers.sh SOURCE_DIR
cd "$1" || exit 1
failures=$(
    find core models backends -name '*.[ch]' | while read -r file; do
        sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\(core\|models\|backends\|tests\)\/\([^"]*\)".*/\1\/\2/p' "$file" |
            sed "s|^|$file |"
    done | awk '
        BEGIN {
            n = split("api base graph plan device run bench report cli", order, " ")
            for (i = 1; i <= n; i++) rank[order[i]] = i
        }
        {
            split($1, from, "/"); split($2, to, "/")
            if (to[1] == "core" && to[2] == "api") next
            if (from[1] == "core" && from[2] == "cli" && to[1] == "tests" && to[2] == "lib") next
            if (from[1] == "core") {
                if (to[1] == "core" && (to[2] in rank) && rank[to[2]] <= rank[from[2]]) next
            } else if (from[1] == "models") {
                if (to[1] == "models" && (to[2] == from[2] || to[2] == "common")) next
            } else if (to[1] == from[1] && to[2] == from[2]) next
            print $1 " must not include " $2
        }'
)
if [ -n "$failures" ]; then
    printf '%s\n' "$failures"
    exit 1
fi
files=$(find core models backends -name '*.[ch]' | wc -l)
[ "$files" -gt 10 ] || { echo "only $files files found: wrong folder?"; exit 1; }
echo "$files files keep the include rules"
