/* kiln report: a training run on one page. */
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/cli/command.h"
#include "core/report/run_page.h"

static enum kiln_status run(const struct kiln_cli *cli, struct kiln_error *error)
{
    const char *directory = cli->arguments[0], *given = kiln_cli_value(cli, "output");
    struct kiln_text html = {0}, printed = {0};
    size_t length = strlen(directory);
    char *trimmed = strdup(directory);
    while (trimmed && length > 1 && trimmed[length - 1] == '/')
        trimmed[--length] = '\0';
    char *path = given ? strdup(given) : trimmed ? kiln_path_join(trimmed, "report.html") : NULL;
    enum kiln_status status = trimmed && path ? kiln_report_run(trimmed, &html, error)
                                              : kiln_fail(error, KILN_MACHINE, "out of memory");
    if (!status)
        status = kiln_file_write(path, html.data, html.length, error);
    if (!status && strncmp(path, "/dev/", 5) != 0) {
        kiln_text_append(&printed, "%s", path);
        status = kiln_cli_print(&printed, error);
    }
    kiln_text_finish(&html);
    free(path);
    free(trimmed);
    return status;
}

static const struct kiln_cli_option options[] = {
    {"output", 'o', "FILE", NULL, "the page (default report.html in the run's directory)"},
    KILN_CLI_QUIET_OPTION,
    {0},
};

static const char *const examples[] = {
    "kiln report runs/vae",
    "writes runs/vae/report.html",
    "kiln report runs/ddpm -o ddpm.html",
    "writes the page elsewhere, also while the run is still training",
    NULL,
};

const struct kiln_command kiln_command_report = {
    .name = "report",
    .arguments = "RUN",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "show a training run on one HTML page",
    .description =
        "Reads a run's directory and writes one HTML file: losses, learning rate, images per "
        "second, the sample grids over time, config, device and parameters. The page needs "
        "nothing else: pictures are inside, there are no scripts, and it follows the light or "
        "dark setting of the reader. Its path is printed.",
    .options = options,
    .examples = examples,
    .run = run,
};
