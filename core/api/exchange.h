/*
 * What a model gives to other programs and takes from them: which files, and
 * how the keys of their JSON files and the names of their weights relate to
 * Kiln's. Tables alone: the program reads and writes.
 */
#ifndef KILN_EXCHANGE_H
#define KILN_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a key of a JSON file stands for. */
enum kiln_exchange_kind {
    KILN_EXCHANGE_END,      /* ends a table */
    KILN_EXCHANGE_VALUE,    /* a key of the config, by its option's type */
    KILN_EXCHANGE_NAMES,    /* a comma-separated string of the config: a list of strings */
    KILN_EXCHANGE_CHANNELS, /* channels of the data */
    KILN_EXCHANGE_SIZE,     /* height and width of the data: a number, or [height, width] */
    KILN_EXCHANGE_CLASSES,  /* classes of the data and one null class; null: no classes */
    KILN_EXCHANGE_CONSTANT, /* has only the values that are listed; the first is written */
    KILN_EXCHANGE_IGNORED   /* any value; what absent says is written */
};

struct kiln_exchange_key {
    enum kiln_exchange_kind kind;
    const char *name; /* of the JSON key */
    /* JSON text of what the other program takes for an absent key. A value of
     * another JSON type is refused unless this is null or values has it. */
    const char *absent;
    const char *section, *key; /* VALUE, NAMES: of the config */
    /* VALUE: "json=config|json=config", values that are written otherwise; an
     * empty json side means that the key is absent. CONSTANT: the JSON texts,
     * separated by '|'. NULL = none, as absent. */
    const char *values;
};

/* One file of a model in another program's format. */
struct kiln_exchange_file {
    /* Places in a folder, separated by '|': read from the first that exists,
     * written to the first. NULL ends a list. */
    const char *paths;
    /* Weights as safetensors: of the states whose names begin with this, which
     * is left out in the file; NULL: a JSON object. */
    const char *prefix;
    /* JSON: the table of its keys, and what "_class_name" must be (NULL: not
     * asked). Of successive files of the same paths, the one of the class that
     * is found is read; the first is written. */
    const char *class_name;
    const struct kiln_exchange_key *keys;
    bool optional; /* may be missing when a folder is read: all keys absent */
};

/* Another spelling of a component of a weight's name, as in old files. */
struct kiln_exchange_alias {
    const char *name, *other; /* NULL ends a list */
};

struct kiln_exchange {
    /* The files of a folder that this model is read from, the network's JSON
     * first; NULL = it is not read from folders. */
    const struct kiln_exchange_file *folder;
    /* Folders whose network has classes, or those whose network has none. */
    bool with_classes;
    /* What is written for this model: one file with all states, if NULL or if
     * it returns NULL; else the files of a folder. */
    const struct kiln_exchange_file *(*files)(void *model);
    /* Writes what a key of the config that may be left open comes to, as the
     * config would say it; false: the config's own text stands. May be NULL. */
    bool (*value)(void *model, const char *section, const char *key, char *text, size_t size);
    /* Spellings of names that are read too; NULL = none. */
    const struct kiln_exchange_alias *aliases;
    /* Last components of names that a file need not have; ends with NULL. */
    const char *const *optional;
};

#ifdef __cplusplus
}
#endif
#endif
