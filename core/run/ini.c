/* INI files: inih behind a reader that refuses what inih would misread. */
#include "core/run/ini.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "core/base/file.h"
#include "core/base/text.h"

/* The search for duplicate sections is quadratic. */
enum { MAX_SECTIONS = 256 };

struct section {
    char name[KILN_INI_MAX_NAME + 1];
    int line;
};

struct reader {
    const char *name;       /* of the file */
    const char *next, *end; /* what is still to be read */
    int line;
    struct section *sections; /* seen so far */
    size_t n_sections, capacity;
    kiln_ini_fn *receive;
    void *user;
    enum kiln_status status; /* of the first failure; ends the reading */
    struct kiln_error *error;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool starts_comment(char c)
{
    return c == ';' || c == '#';
}

bool kiln_ini_name_valid(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    return n >= 1 && n <= KILN_INI_MAX_NAME && name[n] == '\0';
}

/* Bytes of the UTF-8 character at text (n >= 1 bytes), 0 if it is not one:
 * no overlong forms, surrogates or values beyond U+10FFFF (RFC 3629). */
static size_t utf8_length(const unsigned char *text, size_t n)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t length;
    if (text[0] < 0x80)
        return 1;
    if (text[0] >= 0xc2 && text[0] <= 0xdf)
        length = 2;
    else if (text[0] >= 0xe0 && text[0] <= 0xef)
        length = 3;
    else if (text[0] >= 0xf0 && text[0] <= 0xf4)
        length = 4;
    else
        return 0;
    if (text[0] == 0xe0)
        low = 0xa0;
    else if (text[0] == 0xed)
        high = 0x9f;
    else if (text[0] == 0xf0)
        low = 0x90;
    else if (text[0] == 0xf4)
        high = 0x8f;
    if (length > n || text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (text[i] < 0x80 || text[i] > 0xbf)
            return 0;
    return length;
}

/* What is wrong with the bytes of a line, or NULL. */
static const char *text_problem(const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)text[i];
        size_t length = utf8_length((const unsigned char *)text + i, n - i);
        if (!length)
            return "not UTF-8 text";
        if (c == '\0')
            return "NUL byte";
        if (c == '\r')
            return "carriage return without a line feed";
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return "control character";
        i += length;
    }
    return NULL;
}

/* Length of the text before a comment and without blanks at its end; a value's
 * first character follows '=' and starts no comment. */
static size_t without_comment(const char *line, size_t n, bool is_value)
{
    size_t end = 0;
    while (end < n &&
           !(starts_comment(line[end]) && (end == 0 ? !is_value : is_blank(line[end - 1]))))
        end++;
    while (end && is_blank(line[end - 1]))
        end--;
    return end;
}

bool kiln_ini_value_valid(const char *key, const char *value)
{
    size_t n = strlen(value);
    if (strlen(key) + strlen("=") + n > KILN_INI_MAX_LINE || text_problem(value, n))
        return false;
    return n == 0 || (!is_blank(value[0]) && without_comment(value, n, true) == n);
}

void kiln_ini_write(struct kiln_text *text, const char *key, const char *value)
{
    bool blanks =
        strlen(key) + strlen(" = ") + strlen(value) <= KILN_INI_MAX_LINE && !starts_comment(*value);
    if (!*value)
        kiln_text_append(text, "%s =", key);
    else
        kiln_text_append(text, blanks ? "%s = %s" : "%s=%s", key, value);
}

static bool fail(struct reader *reader, const char *what)
{
    reader->status =
        kiln_fail(reader->error, KILN_INPUT, "%s:%d: %s", reader->name, reader->line, what);
    return false;
}

/* Checks "[name]" in text, which inih gets as it is. */
static bool check_section(struct reader *reader, const char *text)
{
    const char *end = strchr(text, ']');
    char name[KILN_INI_MAX_LINE + 1], what[KILN_INI_MAX_LINE + 64];
    if (!end)
        return fail(reader, "expected ']' after the section's name");
    if (end[1])
        return fail(reader, "unexpected text after ']'");
    snprintf(name, sizeof name, "%.*s", (int)(end - text - 1), text + 1);
    if (!kiln_ini_name_valid(name)) {
        snprintf(what, sizeof what, "[%s]: a section's name is 1 to %d letters, digits, '_' or '-'",
                 name, KILN_INI_MAX_NAME);
        return fail(reader, what);
    }
    for (size_t i = 0; i < reader->n_sections; i++)
        if (strcmp(reader->sections[i].name, name) == 0) {
            snprintf(what, sizeof what, "[%s]: duplicate section (the first is in line %d)", name,
                     reader->sections[i].line);
            return fail(reader, what);
        }
    if (reader->n_sections >= MAX_SECTIONS)
        return fail(reader, "more than 256 sections");
    if (!kiln_array_grow(&reader->sections, &reader->capacity, reader->n_sections,
                         sizeof *reader->sections)) {
        reader->status = kiln_fail(reader->error, KILN_MACHINE, "%s: out of memory", reader->name);
        return false;
    }
    struct section *section = &reader->sections[reader->n_sections++];
    memcpy(section->name, name, strlen(name) + 1);
    section->line = reader->line;
    return true;
}

/* Checks "key = value" in text, which inih gets as it is. */
static bool check_key(struct reader *reader, const char *text)
{
    const char *equals = strchr(text, '=');
    char key[KILN_INI_MAX_LINE + 1], what[KILN_INI_MAX_LINE + 64];
    if (!equals)
        return fail(reader, "expected 'key = value' or '[section]'");
    int n = (int)(equals - text);
    while (n && is_blank(text[n - 1]))
        n--;
    if (!n)
        return fail(reader, "expected a key before '='");
    snprintf(key, sizeof key, "%.*s", n, text);
    if (!kiln_ini_name_valid(key)) {
        snprintf(what, sizeof what, "%s: a key is 1 to %d letters, digits, '_' or '-'", key,
                 KILN_INI_MAX_NAME);
        return fail(reader, what);
    }
    return true;
}

/*
 * inih's reader: the next line that says something, without comments and
 * without blanks before it (inih would take it as a continuation). One call is
 * one line, so reader->line is right when the handler is called.
 */
static char *read_line(char *out, int size, void *user)
{
    struct reader *reader = user;
    while (!reader->status && reader->next < reader->end) {
        const char *line = reader->next;
        const char *feed = memchr(line, '\n', (size_t)(reader->end - line));
        size_t n = (size_t)((feed ? feed : reader->end) - line);
        reader->next = feed ? feed + 1 : reader->end;
        reader->line++;
        if (feed && n && line[n - 1] == '\r')
            n--;
        const char *problem = text_problem(line, n);
        if (problem) {
            fail(reader, problem);
            break;
        }
        if (n > KILN_INI_MAX_LINE || n + 2 > (size_t)size) {
            fail(reader, "line longer than 198 bytes");
            break;
        }
        n = without_comment(line, n, false);
        while (n && is_blank(*line)) {
            line++;
            n--;
        }
        if (!n)
            continue;
        snprintf(out, (size_t)size, "%.*s", (int)n, line);
        bool good = *out == '[' ? check_section(reader, out) : check_key(reader, out);
        if (!good)
            break;
        out[n] = '\n';
        out[n + 1] = '\0';
        return out;
    }
    return NULL;
}

static int handle(void *user, const char *section, const char *key, const char *value)
{
    struct reader *reader = user;
    if (!reader->status)
        reader->status =
            reader->receive(reader->user, section, key, value, reader->line, reader->error);
    return reader->status == KILN_OK;
}

enum kiln_status kiln_ini_parse(const char *name, const char *text, size_t n, kiln_ini_fn *receive,
                                void *user, struct kiln_error *error)
{
    struct reader reader = {.name = name, .receive = receive, .user = user, .error = error};
    if (n > KILN_INI_MAX_BYTES)
        return kiln_fail(error, KILN_INPUT, "%s: larger than 1 MiB", name);
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    size_t skip = n >= 3 && memcmp(text, byte_order_mark, 3) == 0 ? 3 : 0;
    reader.next = text + skip;
    reader.end = text + n;
    int result = ini_parse_stream(read_line, &reader, handle, &reader);
    if (result && !reader.status) /* an inih built with other options than ours */
        fail(&reader, "not understood");
    free(reader.sections);
    return reader.status;
}

enum kiln_status kiln_ini_load(const char *path, kiln_ini_fn *receive, void *user,
                               struct kiln_error *error)
{
    char *text;
    size_t n;
    enum kiln_status status = kiln_file_read(path, KILN_INI_MAX_BYTES, &text, &n, error);
    if (status)
        return status;
    status = kiln_ini_parse(path, text, n, receive, user, error);
    free(text);
    return status;
}
