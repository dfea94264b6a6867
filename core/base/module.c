/* Shared modules: checks before the dynamic loader sees a file, and loading. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "core/base/module.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __ELF__
#include <elf.h>

#if UINTPTR_MAX > UINT32_MAX
typedef Elf64_Ehdr elf_header;
typedef Elf64_Phdr elf_segment;
#else
typedef Elf32_Ehdr elf_header;
typedef Elf32_Phdr elf_segment;
#endif

/* Our own header, placed by the linker: a module must be for the same machine. */
extern const elf_header __ehdr_start __attribute__((visibility("hidden")));

static bool read_at(int file, void *target, size_t bytes, uint64_t offset)
{
    return pread(file, target, bytes, (off_t)offset) == (ssize_t)bytes;
}

static bool inside(uint64_t offset, uint64_t bytes, uint64_t size)
{
    return offset <= size && bytes <= size - offset;
}

/* Returns what is wrong with an ELF file of size bytes, or NULL. */
static const char *elf_problem(int file, uint64_t size)
{
    elf_header header;
    if (size < sizeof header || !read_at(file, &header, sizeof header, 0) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
        return "not a shared module";
    if (header.e_ident[EI_CLASS] != __ehdr_start.e_ident[EI_CLASS] ||
        header.e_ident[EI_DATA] != __ehdr_start.e_ident[EI_DATA] ||
        header.e_machine != __ehdr_start.e_machine)
        return "a module for another machine";
    if (header.e_type != ET_DYN || header.e_phentsize != sizeof(elf_segment))
        return "not a shared module";
    if (!inside(header.e_phoff, (uint64_t)header.e_phnum * sizeof(elf_segment), size) ||
        !inside(header.e_shoff, (uint64_t)header.e_shnum * header.e_shentsize, size))
        return "a truncated module";
    for (int i = 0; i < header.e_phnum; i++) {
        elf_segment segment;
        if (!read_at(file, &segment, sizeof segment, header.e_phoff + (uint64_t)i * sizeof segment))
            return "a truncated module";
        if (segment.p_type == PT_LOAD && !inside(segment.p_offset, segment.p_filesz, size))
            return "a truncated module";
    }
    return NULL;
}
#else
static const char *elf_problem(int file, uint64_t size)
{
    (void)file;
    return size ? NULL : "an empty file";
}
#endif

static enum kiln_status check_file(const char *path, struct kiln_error *error)
{
    /* without O_NONBLOCK, opening a FIFO would wait for its writer */
    int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0)
        return kiln_fail(error, KILN_INPUT, "%s: %s", path, strerror(errno));
    struct stat status;
    const char *problem = NULL;
    if (fstat(file, &status))
        problem = strerror(errno);
    else if (S_ISDIR(status.st_mode))
        problem = "is a directory";
    else if (!S_ISREG(status.st_mode))
        problem = "not a regular file";
    else
        problem = elf_problem(file, (uint64_t)status.st_size);
    close(file);
    return problem ? kiln_fail(error, KILN_INPUT, "%s: %s", path, problem) : KILN_OK;
}

void *kiln_module_open(const char *path, const char *symbol, struct kiln_error *error)
{
    if (!strchr(path, '/')) {
        kiln_fail(error, KILN_INPUT, "%s: a module's path needs a directory", path);
        return NULL;
    }
    if (check_file(path, error))
        return NULL;
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module) {
        const char *text = dlerror();
        size_t n = strlen(path);
        /* the loader usually puts the path in front itself */
        if (text && strncmp(text, path, n) == 0 && text[n] == ':')
            kiln_fail(error, KILN_INPUT, "%s", text);
        else
            kiln_fail(error, KILN_INPUT, "%s: %s", path, text ? text : "cannot be loaded");
        return NULL;
    }
    void *address = dlsym(module, symbol);
    if (!address)
        kiln_fail(error, KILN_INPUT, "%s: no symbol %s: not a module of Kiln", path, symbol);
    return address;
}

/* The directory of the running executable, where the system can tell it. */
static bool program_dir(char *path, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", path, size - 1);
    if (n <= 0 || (size_t)n >= size - 1)
        return false;
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    if (!slash)
        return false;
    *slash = '\0';
    return true;
}

/* True if path is dir or lies in it; both absolute and resolved. */
static bool lies_in(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

bool kiln_module_build_dir(char *path, size_t size)
{
    const char *given = getenv("KILN_BUILD_DIR");
    char program[PATH_MAX];
    path[0] = '\0';
    if (given && given[0] == '/') {
        snprintf(path, size, "%s", given);
        return strlen(given) < size;
    }
    char built[PATH_MAX];
    bool found = realpath(KILN_BUILD_DIR, built) && strlen(built) < size &&
                 program_dir(program, sizeof program) && lies_in(program, built);
    if (found)
        snprintf(path, size, "%s", built);
    return found;
}

void kiln_module_install_dir(char *path, size_t size)
{
    /* the program lies in <prefix>/bin; the prefix may have been moved */
    static const char prefix[] = KILN_PREFIX, configured[] = KILN_MODULE_DIR;
    char program[PATH_MAX];
    struct stat status;
    if (lies_in(configured, prefix) && program_dir(program, sizeof program)) {
        char *slash = strrchr(program, '/');
        if (slash && strcmp(slash, "/bin") == 0) {
            int n = snprintf(path, size, "%.*s%s", (int)(slash - program), program,
                             configured + strlen(prefix));
            if (n > 0 && (size_t)n < size && stat(path, &status) == 0 && S_ISDIR(status.st_mode))
                return;
        }
    }
    snprintf(path, size, "%s", configured);
}
