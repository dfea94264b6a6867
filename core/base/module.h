/*
 * Shared modules: backends and model plugins.
 *
 * A module stays loaded until the program ends: its code may be referred to by
 * handlers and threads that nobody can take back.
 */
#ifndef KILN_BASE_MODULE_H
#define KILN_BASE_MODULE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/api/status.h"

/*
 * Loads the module at path and returns the address of symbol in it, or NULL
 * with a message that starts with the path. A file without '/' in its path is
 * refused (nothing is ever searched in the working directory or in library
 * paths), and so is one that is not a complete ELF shared object for this
 * machine: the dynamic loader dies of SIGBUS on a truncated one.
 */
void *kiln_module_open(const char *path, const char *symbol, struct kiln_error *error);

/*
 * The build tree, if this program runs from it: $KILN_BUILD_DIR, else the
 * directory it was built in when the executable lies there. False (and "") for
 * an installed program, which must not load modules from a stranger's folder.
 */
bool kiln_module_build_dir(char *path, size_t size);
/* <prefix>/<libdir>/kiln, where modules are installed: under the prefix that
 * the executable lies in if it has such a folder, else the configured one. */
void kiln_module_install_dir(char *path, size_t size);

#endif
