/*
 * Fuzz target: the JSON files of a diffusers folder.
 *
 * The first byte says which file the rest is: 0 unet/config.json, 1 the
 * scheduler's, 2 model_index.json; the other files are good ones. What is
 * accepted becomes a configuration, and the configuration a U-Net, each of
 * which may refuse it with a message.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include <string.h>
#include <sys/stat.h>

#include "core/run/folder.h"
#include "fuzz_file.h"
#include "models/common/diffusers.h"
#include "models/common/diffusion.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CONFIG, SCHEDULER, INDEX, WEIGHTS, N_FILES };

static const char *const names[N_FILES] = {"unet/config.json", "scheduler/scheduler_config.json",
                                           "model_index.json",
                                           "unet/diffusion_pytorch_model.safetensors"};
static const char *const good[N_FILES] = {"{\"_class_name\": \"UNet2DModel\", \"sample_size\": 8, "
                                          "\"block_out_channels\": [32, 32, 32, 32]}",
                                          "{\"_class_name\": \"DDPMScheduler\"}",
                                          "{\"_class_name\": \"DDPMPipeline\"}", ""};

static char folder_path[64];

static void write_file(int which, const void *data, size_t size)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder_path, names[which]);
    FILE *file = fopen(path, "wb");
    require(file && fwrite(data, 1, size, file) == size && !fclose(file));
}

static void remove_folder(void)
{
    char path[160];
    for (int i = 0; i < N_FILES; i++) {
        snprintf(path, sizeof path, "%s/%s", folder_path, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/unet", folder_path);
    rmdir(path);
    snprintf(path, sizeof path, "%s/scheduler", folder_path);
    rmdir(path);
    rmdir(folder_path);
}

static void make_folder(void)
{
    char path[160];
    snprintf(folder_path, sizeof folder_path, "%s/kiln-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    require(mkdtemp(folder_path) != NULL);
    atexit(remove_folder);
    snprintf(path, sizeof path, "%s/unet", folder_path);
    require(!mkdir(path, 0700));
    snprintf(path, sizeof path, "%s/scheduler", folder_path);
    require(!mkdir(path, 0700));
    for (int i = 0; i < N_FILES; i++)
        write_file(i, good[i], strlen(good[i]));
}

static const struct kiln_option options[] = {UNET2D_OPTIONS, DIFFUSION_OPTIONS, {0}};

static const struct kiln_model model = {.name = "fuzz", .options = options};

/* A configuration and a U-Net of what the folder says. */
static void use(const struct kiln_folder *folder)
{
    const struct kiln_config_source source = {
        .path = folder_path,
        .text = "",
        .n_overrides = folder->n_settings,
        .overrides = folder->settings,
        .model = &model,
    };
    const struct kiln_data_info *info = &folder->info;
    kiln_config *config = NULL;
    struct unet2d unet;
    struct kiln_error error = {""};
    require(info->channels > 0 && info->height > 0 && info->width > 0 && info->n_classes >= 0);
    enum kiln_status status = kiln_config_load(&source, &config, &error);
    require(status == KILN_OK || (status == KILN_INPUT && error.text[0]));
    if (!status)
        status = unet2d_init(&unet, config, info->channels, info->channels, info->height,
                             info->width, 0, &error);
    require(status == KILN_OK || (status == KILN_INPUT && error.text[0]));
    kiln_config_destroy(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct kiln_exchange exchange = {.folder = diffusers_pipeline};
    if (size < 1 || data[0] > INDEX)
        return 0;
    if (!folder_path[0])
        make_folder();
    write_file(data[0], data + 1, size - 1);
    struct kiln_folder folder = {.arena = kiln_arena_create()};
    struct kiln_error error = {""};
    bool fits = false;
    const char *class_name;
    require(folder.arena != NULL);
    enum kiln_status status =
        kiln_folder_read_as(folder_path, &exchange, &folder, &fits, &class_name, &error);
    require(status == KILN_OK || (status == KILN_INPUT && error.text[0]));
    if (!status && fits)
        use(&folder);
    kiln_folder_finish(&folder);
    write_file(data[0], good[data[0]], strlen(good[data[0]]));
    return 0;
}
