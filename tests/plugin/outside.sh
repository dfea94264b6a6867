#!/bin/sh
# Installs Kiln into a temporary directory, builds a plugin outside the tree
# with nothing but the installed headers and pkg-config, and uses it.
#
#   outside.sh BUILD_DIR SOURCE_DIR PREFIX CC
set -eu
build=$1 source=$2 prefix=$3 cc=$4
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() {
    echo "outside.sh: $*" >&2
    exit 1
}

DESTDIR=$folder/root meson install -C "$build" --no-rebuild --quiet
root=$folder/root
pc=$(find "$root" -name kiln.pc)
[ -n "$pc" ] || fail "kiln.pc is not installed"
pc_dir=$(dirname "$pc")
kiln_pc() {
    PKG_CONFIG_PATH=$pc_dir PKG_CONFIG_SYSROOT_DIR=$root pkg-config "$@"
}
plugins=$(kiln_pc --variable=plugindir kiln)
case $plugins in
"$root"*) ;;
*) plugins=$root$plugins ;;
esac
case $plugins in
"$root$prefix"/*/kiln/models) ;;
*) fail "plugindir is $plugins" ;;
esac

cp "$source/tests/plugin/linear_ae.c" "$folder/"
cd "$folder"
# shellcheck disable=SC2046
$cc -std=c11 -Wall -Wextra -Werror -pedantic -shared -fPIC -o linear_ae.so linear_ae.c \
    $(kiln_pc --cflags --libs kiln) || fail "the plugin does not compile"

# The installed program, not the one of the build tree
unset KILN_BUILD_DIR KILN_PLUGIN_PATH
LD_LIBRARY_PATH=$(dirname "$(find "$root" -name libkiln.so)")
export LD_LIBRARY_PATH
kiln=$root$prefix/bin/kiln
"$kiln" --version >/dev/null || fail "the installed program does not start"
find "$root" -name kiln.1 | grep -q . || fail "kiln.1 is not installed"

"$kiln" models linear_ae --plugin-dir "$folder" | grep -q '^  latent_size = 16 .*int 1..4096' ||
    fail "kiln models does not show the plugin's key"
KILN_PLUGIN_PATH=/nonexistent:$folder "$kiln" models | grep -q '^linear_ae  *linear autoencoder' ||
    fail "kiln models does not list the plugin"

# Installed beside the others it needs no option
mkdir -p "$plugins"
mv linear_ae.so "$plugins/"
cat >shapes.ini <<'EOF'
[model]
plugin = linear_ae
[network]
latent_size = 8
[data]
source = shapes
image_size = 16
[train]
batch_size = 32
steps = 20
log_every = 10
[run]
device = cpu
tune_seconds = 0
EOF
"$kiln" describe shapes.ini --config-only | grep -q '^latent_size = 8 .*; shapes.ini:4' ||
    fail "kiln describe does not show the config"

if "$kiln" train --help >/dev/null 2>&1; then
    "$kiln" train shapes.ini --out run --quiet || fail "kiln train failed"
    [ -s run/checkpoint.safetensors ] || fail "no checkpoint"
    "$kiln" eval run --json | grep -q '"squared_error"' || fail "kiln eval shows no figure"
else
    echo "kiln train is not there: not trained"
fi
