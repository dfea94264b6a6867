/*
 * Fuzz target: the INI reader, the schema and overrides.
 *
 * The first byte is the number of bytes after it that are the assignment of an
 * override (0: none); the rest is a config. What is accepted must be written as
 * a config that resolves to the same values.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/run/config.h"
#include "core/run/ini.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct kiln_option options[] = {
    {"network", "arch", KILN_OPTION_CHOICE, "mlp", 0, 0, "mlp|conv", "architecture"},
    {"network", "channels", KILN_OPTION_INTS, "32, 64", 1, 4096, NULL, "channels by level"},
    {"network", "scales", KILN_OPTION_FLOATS, "", 0, 0, NULL, "any numbers"},
    {"network", "beta", KILN_OPTION_FLOAT, "1", 0, 100, NULL, "weight"},
    {"network", "bias", KILN_OPTION_BOOL, "yes", 0, 0, NULL, "add a bias"},
    {"noise", "levels", KILN_OPTION_INT, "-3", 0, 0, NULL, "any whole number"},
    {0}};
static const struct kiln_model toy = {.name = "toy", .options = options};

static void require(int condition)
{
    if (!condition)
        abort();
}

static enum kiln_status check_key(void *user, const char *section, const char *key,
                                  const char *value, int line, struct kiln_error *error)
{
    (void)error;
    int *last = user;
    require(line > *last);
    *last = line;
    require(!*section || kiln_ini_name_valid(section));
    require(kiln_ini_name_valid(key));
    require(kiln_ini_value_valid(key, value));
    return KILN_OK;
}

static void check_message(enum kiln_status status, const struct kiln_error *error)
{
    require(status == KILN_OK || status == KILN_INPUT);
    require(!status || (error->text[0] && !strchr(error->text, '\n')));
}

/* What was accepted is written, read back and written again. */
static void check_config(const kiln_config *config)
{
    struct kiln_text text = {0}, again = {0}, json = {0};
    struct kiln_error error = {""};
    kiln_config *copy;
    kiln_config_write(config, true, &text);
    require(!text.failed);
    struct kiln_config_source source = {
        .path = "written", .text = text.data, .text_bytes = text.length, .model = &toy};
    require(kiln_config_load(&source, &copy, &error) == KILN_OK);
    kiln_config_write(copy, true, &again);
    require(text.length == again.length && memcmp(text.data, again.data, text.length) == 0);
    struct kiln_json writer = kiln_json_start(&json);
    kiln_config_json(copy, &writer, NULL);
    require(!json.failed);
    kiln_config_destroy(&copy);
    kiln_text_finish(&text);
    kiln_text_finish(&again);
    kiln_text_finish(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kiln_error error = {""};
    char assignment[256] = "";
    if (!size)
        return 0;
    size_t n = data[0] < size ? data[0] : size - 1;
    memcpy(assignment, data + 1, n);
    const char *text = (const char *)data + 1 + n;
    size_t bytes = size - 1 - n;

    int line = 0;
    check_message(kiln_ini_parse("text", text, bytes, check_key, &line, &error), &error);

    struct kiln_config_override override = {"--set", assignment};
    struct kiln_config_source source = {.path = "text",
                                        .text = text,
                                        .text_bytes = bytes,
                                        .n_overrides = n > 0,
                                        .overrides = &override,
                                        .model = &toy};
    kiln_config *config;
    error.text[0] = '\0';
    enum kiln_status status = kiln_config_load(&source, &config, &error);
    check_message(status, &error);
    require(!config == (status != KILN_OK));
    if (config)
        check_config(config);
    kiln_config_destroy(&config);
    return 0;
}
