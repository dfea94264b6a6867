/* Section [data] of the configuration. */
#include <stdio.h>
#include <string.h>

#include "core/run/config.h"
#include "core/run/dataset.h"

#define SOURCES "idx|cifar10|images|safetensors|points|shapes" /* enum kiln_data_source */
#define MAX_COUNT 2147483647

const struct kiln_option kiln_data_options[] = {
    {"data", "source", KILN_OPTION_CHOICE, "idx", 0, 0, SOURCES,
     "where samples come from; points and shapes are drawn and need no files"},
    {"data", "images", KILN_OPTION_STRING, "", 0, 0, NULL,
     "idx: file of training pictures, empty: Fashion-MNIST as Debian's dataset-fashion-mnist has "
     "it; safetensors: file with the tensors images (u8, or real in 0..1, [N,C,H,W]) and labels"},
    {"data", "labels", KILN_OPTION_STRING, "", 0, 0, NULL, "idx: file of training labels"},
    {"data", "test_images", KILN_OPTION_STRING, "", 0, 0, NULL,
     "idx, safetensors: file of test pictures, empty: the last tenth of the training data"},
    {"data", "test_labels", KILN_OPTION_STRING, "", 0, 0, NULL, "idx: file of test labels"},
    {"data", "folder", KILN_OPTION_STRING, "", 0, 0, NULL,
     "cifar10: folder of data_batch_1.bin; images: folder of PNG files or of one folder for each "
     "class, either also within train/ and test/"},
    {"data", "mixture", KILN_OPTION_STRING, "0.2 -5 -5 1 | 0.8 5 5 1", 0, 0, NULL,
     "points: 2-D Gaussians separated by |, each: weight mean_x mean_y sigma [sigma_y]"},
    {"data", "image_size", KILN_OPTION_INT, "0", 0, 4096, NULL,
     "side in pixels, 0: as it is; grows by a border of zeros if by 2 or 4 pixels, else the "
     "picture is cropped to a square and resampled"},
    {"data", "channels", KILN_OPTION_INT, "0", 0, 3, NULL,
     "1: grey, 3: RGB, 0: as it is (images: as the first picture)"},
    {"data", "n_classes", KILN_OPTION_INT, "0", 0, 1000000, NULL,
     "labels are below this; 0: as the data tell"},
    {"data", "flip", KILN_OPTION_BOOL, "false", 0, 0, NULL,
     "mirror each training picture left to right with probability 1/2"},
    {"data", "n_train", KILN_OPTION_INT, "0", 0, MAX_COUNT, NULL,
     "use the first so many training samples; 0: all (points: 10000, shapes: 20000)"},
    {"data", "n_test", KILN_OPTION_INT, "0", 0, MAX_COUNT, NULL,
     "use the first so many test samples; 0: all (points, shapes: 2000)"},
    {"data", "seed", KILN_OPTION_INT, "0", 0, MAX_COUNT, NULL, "of points and shapes"},
    {"data", "device_memory", KILN_OPTION_INT, "1024", 0, 1048576, NULL,
     "MiB of the device that the training data may take; larger data are streamed"},
    {NULL, NULL, KILN_OPTION_BOOL, NULL, 0, 0, NULL, NULL},
};

/* Position of word in "a|b|c", -1 if it is none of them. */
static int choice_index(const char *choices, const char *word)
{
    size_t n = strlen(word);
    for (int i = 0; *choices; i++) {
        size_t length = strcspn(choices, "|");
        if (length == n && memcmp(choices, word, n) == 0)
            return i;
        choices += length + (choices[length] == '|');
    }
    return -1;
}

enum kiln_status kiln_dataset_spec_read(const kiln_config *config, struct kiln_dataset_spec *spec,
                                        struct kiln_error *error)
{
    const char *source = kiln_config_string(config, "data", "source");
    int index = choice_index(SOURCES, source);
    if (index < 0)
        return kiln_fail(error, KILN_INPUT, "[data] source: %s, expected " SOURCES, source);
    *spec = (struct kiln_dataset_spec){
        .source = (enum kiln_data_source)index,
        .images = kiln_config_string(config, "data", "images"),
        .labels = kiln_config_string(config, "data", "labels"),
        .test_images = kiln_config_string(config, "data", "test_images"),
        .test_labels = kiln_config_string(config, "data", "test_labels"),
        .folder = kiln_config_string(config, "data", "folder"),
        .mixture = kiln_config_string(config, "data", "mixture"),
        .image_size = kiln_config_int(config, "data", "image_size"),
        .channels = kiln_config_int(config, "data", "channels"),
        .n_classes = kiln_config_int(config, "data", "n_classes"),
        .n_train = kiln_config_int(config, "data", "n_train"),
        .n_test = kiln_config_int(config, "data", "n_test"),
        .seed = (uint64_t)kiln_config_int(config, "data", "seed"),
    };
    return KILN_OK;
}

/* The message starts with this path or something below it. */
static bool starts_with_path(const char *message, const char *path)
{
    size_t n = strlen(path);
    return n > 0 && strncmp(message, path, n) == 0 && (message[n] == ':' || message[n] == '/');
}

/* Puts the place in the config before a message that starts with "[data] key"
 * or with the path that a key names. */
static void add_origin(const kiln_config *config, struct kiln_error *error)
{
    static const char *const paths[] = {"images", "labels", "test_images", "test_labels", "folder"};
    char key[32];
    if (sscanf(error->text, "[data] %31[a-z_]", key) == 1) {
        const char *origin = kiln_config_origin(config, "data", key);
        if (origin)
            kiln_fail(error, KILN_INPUT, "%s: %s", origin, error->text);
        return;
    }
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (starts_with_path(error->text, kiln_config_string(config, "data", paths[i]))) {
            kiln_config_fail(config, "data", paths[i], error, "%s", error->text);
            return;
        }
}

enum kiln_status kiln_dataset_load(const kiln_config *config, struct kiln_dataset **dataset,
                                   struct kiln_error *error)
{
    *dataset = NULL;
    struct kiln_dataset_spec spec;
    enum kiln_status status = kiln_dataset_spec_read(config, &spec, error);
    if (!status)
        status = kiln_dataset_create(&spec, dataset, error);
    if (status == KILN_INPUT && error)
        add_origin(config, error);
    return status;
}
