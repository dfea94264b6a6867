/* kiln reconstruct: test pictures beside what the model makes of them. */
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/cli/replay.h"
#include "core/cli/trained.h"
#include "core/run/evaluate.h"
#include "core/run/sample_image.h"

enum { COLUMNS = 8, DEFAULT_NUMBER = 32 };

/* Rows of originals, each above the row of its reconstructions; the last pair
 * of rows is filled up with black. Returns NULL when out of memory. */
static float *interleave(const float *originals, const float *reconstructions, int64_t n,
                         int64_t elements, int64_t *cells)
{
    int64_t columns = n < COLUMNS ? n : COLUMNS;
    *cells = (n + columns - 1) / columns * 2 * columns;
    float *grid = calloc((size_t)(*cells * elements), sizeof *grid);
    for (int64_t i = 0; i < n && grid; i++) {
        int64_t cell = i / columns * 2 * columns + i % columns;
        size_t bytes = (size_t)elements * sizeof *grid;
        memcpy(grid + cell * elements, originals + i * elements, bytes);
        memcpy(grid + (cell + columns) * elements, reconstructions + i * elements, bytes);
    }
    return grid;
}

static enum kiln_status write_grid(const struct kiln_cli *cli, const struct kiln_trained *trained,
                                   const char *path, int64_t n, const float *originals,
                                   const float *reconstructions, struct kiln_error *error)
{
    struct kiln_text command = {0};
    struct kiln_shape shape = kiln_batch_shape(&trained->experiment.info, 1);
    int64_t cells;
    float *grid = interleave(originals, reconstructions, n, kiln_shape_count(&shape), &cells);
    if (!grid)
        return kiln_fail(error, KILN_MACHINE, "reconstruct: out of memory");
    kiln_cli_replay(cli, &command);
    const struct kiln_png_text texts[] = {
        {"Software", "kiln " KILN_VERSION},
        {"Command", command.data ? command.data : ""},
        {"Checkpoint", trained->hash},
    };
    shape.d[0] = cells;
    enum kiln_status status = kiln_samples_write_png(
        path, grid, &shape, (int)(n < COLUMNS ? n : COLUMNS), 3, texts, error);
    kiln_text_finish(&command);
    free(grid);
    return status;
}

/* Mean squared error of a pixel. */
static double squared_error(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sum / (double)n;
}

static enum kiln_status print_result(const struct kiln_cli *cli, const char *path, int64_t n,
                                     double error_of_pixel, struct kiln_error *error)
{
    struct kiln_text text = {0};
    if (!kiln_cli_flag(cli, "json")) {
        kiln_text_append(&text, "%s", path);
        return kiln_cli_print(&text, error);
    }
    struct kiln_json json = kiln_json_start(&text);
    kiln_json_object(&json, NULL);
    kiln_json_string(&json, "image", path);
    kiln_json_int(&json, "samples", n);
    kiln_json_number(&json, "mean_squared_error", error_of_pixel);
    kiln_json_end(&json);
    return kiln_cli_print(&text, error);
}

static enum kiln_status reconstruct(const struct kiln_cli *cli, const struct kiln_trained *trained,
                                    const char *path, struct kiln_error *error)
{
    int64_t n = DEFAULT_NUMBER;
    float *originals = NULL, *reconstructions = NULL;
    if (trained->experiment.info.points)
        return kiln_fail(error, KILN_INPUT, "reconstruct: the data are points, not pictures");
    enum kiln_status status = kiln_cli_check_output(path, error);
    if (!status)
        status = kiln_cli_int(cli, "number", 1, 1 << 20, &n, error);
    if (!status)
        status = kiln_reconstruct(&trained->experiment, trained->session, trained->checkpoint, &n,
                                  &originals, &reconstructions, error);
    if (!status)
        status = write_grid(cli, trained, path, n, originals, reconstructions, error);
    if (!status) {
        struct kiln_shape shape = kiln_batch_shape(&trained->experiment.info, n);
        double mse = squared_error(originals, reconstructions, kiln_shape_count(&shape));
        status = print_result(cli, path, n, mse, error);
    }
    free(originals);
    free(reconstructions);
    return status;
}

static enum kiln_status run(const struct kiln_cli *cli, struct kiln_error *error)
{
    struct kiln_trained trained;
    enum kiln_status status = kiln_trained_open(cli, true, &trained, error);
    if (!status) {
        char *path = kiln_trained_output(cli, &trained, "output", "reconstructions.png");
        status = path ? reconstruct(cli, &trained, path, error)
                      : kiln_fail(error, KILN_MACHINE, "reconstruct: out of memory");
        free(path);
    }
    kiln_trained_close(&trained);
    return status;
}

static const struct kiln_cli_option options[] = {
    {"number", 'n', "N", NULL, "how many test pictures (default 32)"},
    {"output", 'o', "FILE.png", NULL,
     "the grid (default reconstructions.png beside the checkpoint)"},
    KILN_CLI_TRAINED_OPTIONS,
    {0},
};

static const char *const examples[] = {
    "kiln reconstruct runs/vae -n 16 -o pairs.png",
    "writes 16 test pictures, each row above its reconstructions",
    NULL,
};

const struct kiln_command kiln_command_reconstruct = {
    .name = "reconstruct",
    .arguments = "RUN",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "show test pictures beside their reconstructions",
    .description = "Encodes and decodes the first pictures of the test set and writes a grid: rows "
                   "of originals, each above the row of its reconstructions.",
    .options = options,
    .examples = examples,
    .run = run,
};
