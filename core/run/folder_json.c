/* JSON files of other programs. */
#include "core/run/folder_json.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json_read.h"

static const size_t max_bytes = 1 << 20;

/* Python writes infinities, which JSON has not: they become null. */
static void replace_infinities(char *bytes, size_t n)
{
    static const char word[] = "Infinity";
    const size_t length = sizeof word - 1;
    bool text = false;
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '"')
            text = !text;
        else if (text && bytes[i] == '\\')
            i++;
        if (text || bytes[i] != 'I' || n - i < length || memcmp(bytes + i, word, length) != 0)
            continue;
        if (i && bytes[i - 1] == '-')
            bytes[i - 1] = ' ';
        memcpy(bytes + i, "null    ", length);
    }
}

enum kiln_status kiln_folder_json_parse(const char *path, char *bytes, size_t n, json_t **object,
                                        struct kiln_error *error)
{
    json_error_t why;
    replace_infinities(bytes, n);
    enum kiln_status status = kiln_json_read(bytes, n, JSON_REJECT_DUPLICATES, object, &why);
    if (status == KILN_MACHINE)
        return kiln_fail(error, status, "%s: out of memory", path);
    if (status)
        return kiln_fail(error, status, "%s:%d: not JSON: %s", path, why.line, why.text);
    if (json_is_object(*object))
        return KILN_OK;
    json_decref(*object);
    *object = NULL;
    return kiln_fail(error, KILN_INPUT, "%s: not a JSON object", path);
}

enum kiln_status kiln_folder_json(const char *path, json_t **object, struct kiln_error *error)
{
    char *bytes;
    size_t n;
    *object = NULL;
    enum kiln_status status = kiln_file_read(path, max_bytes, &bytes, &n, error);
    if (status)
        return status;
    status = kiln_folder_json_parse(path, bytes, n, object, error);
    free(bytes);
    return status;
}
