# Shared by tools/demo and tools/check: finds out what is missing and installs
# it. Sourced by sh; sets nothing but functions.

# What the build needs, what OpenCL on the processor needs, what the tests need.
packages_build="gcc meson ninja-build pkg-config libc6-dev libinih-dev libpng-dev libjansson-dev
zlib1g-dev libxxhash-dev libcmocka-dev ocl-icd-opencl-dev opencl-c-headers libclblast-dev
libdnnl-dev pocl-opencl-icd"
packages_data="dataset-fashion-mnist"
packages_test="oclgrind"

say() {
    printf '%s\n' "$*" >&2
}

# missing PACKAGE...: prints those that are not installed
missing() {
    command -v dpkg-query >/dev/null 2>&1 || return 0
    for package in "$@"; do
        case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
        *'ok installed') ;;
        *) printf '%s ' "$package" ;;
        esac
    done
}

# require PACKAGE...: installs what is missing, or says how and ends
require() {
    wanted=$(missing "$@")
    [ -n "$wanted" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        say "Something is missing. Run this line, then try again:"
        say "    sudo apt-get install $wanted"
        exit 1
    fi
    say "Installing: $wanted"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq || true
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $wanted >/dev/null
}

# want PACKAGE...: as require, but only tries; returns 1 if one is still missing
want() {
    wanted=$(missing "$@")
    [ -n "$wanted" ] || return 0
    [ "$(id -u)" = 0 ] || return 1
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    apt-get update -qq && apt-get install -y -qq --no-install-recommends $wanted >/dev/null 2>&1
}

# build_kiln DIRECTORY [MESON OPTION...]: configures (once) and builds
build_kiln() {
    directory=$1
    shift
    [ -f "$directory/build.ninja" ] || meson setup "$directory" "$@" >/dev/null
    ninja -C "$directory" >"$directory/build.log" 2>&1 || {
        cat "$directory/build.log" >&2
        exit 1
    }
}
