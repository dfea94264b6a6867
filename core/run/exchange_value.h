/*
 * Values of another program's JSON files, read and written by the rows of a
 * model's tables (core/api/exchange.h).
 */
#ifndef KILN_RUN_EXCHANGE_VALUE_H
#define KILN_RUN_EXCHANGE_VALUE_H

#include <jansson.h>

#include "core/api/model.h"
#include "core/base/text.h"
#include "core/run/config.h"

/* One of several texts that are separated by '|': advances *list behind it and
 * returns its length, *item its start; -1 at the end. */
int kiln_exchange_item(const char **list, const char **item);

/*
 * Appends what the config says for a value of the file (NULL: the key is
 * absent); nothing if the config's default stands. KILN_INPUT names the key
 * and what is supported. CHANNELS, SIZE and CLASSES go to *info; channels that
 * are set already must be the same.
 */
enum kiln_status kiln_exchange_read(const struct kiln_exchange_key *, const json_t *value,
                                    struct kiln_data_info *info, struct kiln_text *text,
                                    struct kiln_error *);

/* Where the values that are written come from. */
struct kiln_exchange_source {
    const kiln_config *config;
    const struct kiln_data_info *info;
    void *model; /* for its exchange's value() */
};
/* Appends the JSON text of a key; nothing if the key is left out. */
void kiln_exchange_write(const struct kiln_exchange_key *, const struct kiln_exchange_source *,
                         struct kiln_text *text);

#endif
