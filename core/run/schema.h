/*
 * The declared options of a configuration: the core's own, those of the data
 * sets, and the model plugin's.
 */
#ifndef KILN_RUN_SCHEMA_H
#define KILN_RUN_SCHEMA_H

#include "core/api/model.h"
#include "core/base/text.h"

/* A max that means "no upper limit" to people. */
#define KILN_SCHEMA_NO_LIMIT 1e12

/* Options of [model], [train], [sample] and [run]; ends with section NULL. */
extern const struct kiln_option kiln_core_options[];

/* Every option once, grouped by section: sections and keys in the order of
 * their first declaration. An option that the plugin declares again takes the
 * core's place, with the plugin's default, range, choices and help. */
struct kiln_schema {
    size_t n;
    const struct kiln_option **options; /* point into the tables */
    size_t capacity;
};

/*
 * The options of the core and of model (NULL = the core's alone). Fails with
 * KILN_INPUT if the plugin's table is wrong: a bad name, a default outside its
 * own type or range, a key declared twice, another type than the core's.
 */
enum kiln_status kiln_schema_init(struct kiln_schema *, const struct kiln_model *model,
                                  struct kiln_error *error);
void kiln_schema_finish(struct kiln_schema *);

/* Index of an option, or -1. */
int kiln_schema_find(const struct kiln_schema *, const char *section, const char *key);
bool kiln_schema_has_section(const struct kiln_schema *, const char *section);
/* The nearest key of the section (or the nearest section, or a key of that
 * name in another section) as " (did you mean ...?)"; "" if nothing is near. */
void kiln_schema_suggest(const struct kiln_schema *, const char *section, const char *key,
                         char *text, size_t size);

/* A value of an option's type; strings and choices are their text. */
struct kiln_option_value {
    int64_t integer; /* INT */
    double number;   /* INT, FLOAT */
    bool flag;       /* BOOL */
    int n;           /* INTS, FLOATS: entries of list */
    double *list;    /* malloc'd; may be NULL if n is 0 */
};

/*
 * Reads text as a value of the option's type, independent of the locale.
 * Numbers are decimal and finite and fill the text. A failure is KILN_INPUT
 * and says what was expected, without naming the key. The caller frees
 * value->list.
 */
enum kiln_status kiln_option_parse(const struct kiln_option *, const char *text,
                                   struct kiln_option_value *value, struct kiln_error *error);
/* "bool", "int", "float", "string", "choice", "ints", "floats". */
const char *kiln_option_type_name(enum kiln_option_type);
/* "1..1000", ">= 0" (max is KILN_SCHEMA_NO_LIMIT), "a, b, c", or "" if
 * everything is allowed. */
void kiln_option_range(const struct kiln_option *, char *text, size_t size);

#endif
