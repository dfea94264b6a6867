/*
 * Runs a fuzz target on every file of the given directories: the corpus as a
 * regression test, without a fuzzer.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns false if the file cannot be read. */
static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return 0;
    size_t capacity = 1 << 22, size;
    uint8_t *data = malloc(capacity), *copy = NULL;
    size = data ? fread(data, 1, capacity, file) : 0;
    fclose(file);
    /* a copy of the exact size: reading beyond it is seen by a sanitizer */
    copy = malloc(size ? size : 1);
    if (data && copy) {
        for (size_t i = 0; i < size; i++)
            copy[i] = data[i];
        LLVMFuzzerTestOneInput(copy, size);
    }
    free(data);
    free(copy);
    return 1;
}

int main(int argc, char **argv)
{
    int n = 0;
    for (int i = 1; i < argc; i++) {
        DIR *directory = opendir(argv[i]);
        if (!directory) {
            fprintf(stderr, "%s: cannot open\n", argv[i]);
            return 1;
        }
        for (struct dirent *entry; (entry = readdir(directory));) {
            char path[4096];
            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            if (!replay(path)) {
                fprintf(stderr, "%s: cannot read\n", path);
                return 1;
            }
            n++;
        }
        closedir(directory);
    }
    printf("%d inputs\n", n);
    return n ? 0 : 1;
}
