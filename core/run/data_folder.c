/* The source "images": a folder of PNG files. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/run/data_source.h"
#include "core/run/png_read.h"

/* A share of 1 / TEST_SHARE of each class is for testing, if nothing else is. */
enum { TEST_SHARE = 10 };

struct names {
    char **name;
    size_t n, capacity;
};

struct picture_file {
    char *path;
    int32_t label;
};

struct listing {
    struct picture_file *file;
    size_t n, capacity;
};

static void names_finish(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->name[i]);
    free(names->name);
    *names = (struct names){0};
}

static void listing_finish(struct listing *listing)
{
    for (size_t i = 0; i < listing->n; i++)
        free(listing->file[i].path);
    free(listing->file);
    *listing = (struct listing){0};
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_png(const char *name)
{
    size_t n = strlen(name);
    return n > 4 && strcasecmp(name + n - 4, ".png") == 0;
}

static enum kiln_status out_of_memory(const char *path, struct kiln_error *error)
{
    return kiln_fail(error, KILN_MACHINE, "%s: out of memory", path);
}

/* Names in the folder that are of PNG files, or of folders; hidden ones are
 * left out. Sorted by bytes, so that every machine sees one order. */
static enum kiln_status list_names(const char *folder, bool folders, struct names *names,
                                   struct kiln_error *error)
{
    DIR *stream = opendir(folder);
    if (!stream)
        return kiln_fail(error, KILN_INPUT, "%s: cannot list: %s", folder, strerror(errno));
    enum kiln_status status = KILN_OK;
    for (struct dirent *entry; !status && (entry = readdir(stream));) {
        if (entry->d_name[0] == '.')
            continue;
        char *path = kiln_path_join(folder, entry->d_name);
        bool directory = path && kiln_directory_exists(path);
        free(path);
        if (!path)
            status = out_of_memory(folder, error);
        else if (folders ? !directory : directory || !is_png(entry->d_name))
            continue;
        else if (!kiln_array_grow(&names->name, &names->capacity, names->n, sizeof *names->name) ||
                 !(names->name[names->n] = strdup(entry->d_name)))
            status = out_of_memory(folder, error);
        else
            names->n++;
    }
    closedir(stream);
    if (names->n)
        qsort(names->name, names->n, sizeof *names->name, by_name);
    return status;
}

/* Appends the folder's pictures, each with this label. */
static enum kiln_status list_pictures(const char *folder, int32_t label, struct listing *listing,
                                      struct kiln_error *error)
{
    struct names names = {0};
    enum kiln_status status = list_names(folder, false, &names, error);
    for (size_t i = 0; i < names.n && !status; i++) {
        if (kiln_array_grow(&listing->file, &listing->capacity, listing->n,
                            sizeof *listing->file) &&
            (listing->file[listing->n].path = kiln_path_join(folder, names.name[i])))
            listing->file[listing->n++].label = label;
        else
            status = out_of_memory(folder, error);
    }
    names_finish(&names);
    return status;
}

static enum kiln_status list_class(const char *folder, const char *name, int32_t label,
                                   struct listing *listing, struct kiln_error *error)
{
    char *path = kiln_path_join(folder, name);
    enum kiln_status status =
        path ? list_pictures(path, label, listing, error) : out_of_memory(folder, error);
    free(path);
    return status;
}

/* Class names of the training data, empty without classes. */
static enum kiln_status list_classes(const char *folder, struct names *classes,
                                     struct kiln_error *error)
{
    struct listing direct = {0};
    enum kiln_status status = list_pictures(folder, 0, &direct, error);
    if (!status && direct.n == 0)
        status = list_names(folder, true, classes, error);
    if (!status && direct.n == 0 && classes->n == 0)
        status = kiln_fail(error, KILN_INPUT, "%s: holds no PNG files and no folders", folder);
    listing_finish(&direct);
    return status;
}

/* All pictures of a split; without classes, those that lie in the folder. */
static enum kiln_status list_split(const char *folder, const struct names *classes,
                                   struct listing *listing, struct kiln_error *error)
{
    enum kiln_status status = KILN_OK;
    if (classes->n == 0)
        status = list_pictures(folder, 0, listing, error);
    for (size_t i = 0; i < classes->n && !status; i++)
        status = list_class(folder, classes->name[i], (int32_t)i, listing, error);
    if (!status && (listing->n == 0 || listing->n > INT32_MAX))
        status = kiln_fail(error, KILN_INPUT, "%s: holds %zu PNG files", folder, listing->n);
    return status;
}

/* Moves the last pictures of each class to the test listing. */
static enum kiln_status split_listing(struct listing *train, struct listing *test,
                                      struct kiln_error *error)
{
    size_t kept = 0, n = train->n;
    for (size_t first = 0, end; first < n; first = end) {
        for (end = first; end < n && train->file[end].label == train->file[first].label;)
            end++;
        size_t moved = (end - first) / TEST_SHARE;
        for (size_t i = first; i < end; i++) {
            if (i < end - moved) {
                train->file[kept++] = train->file[i];
                continue;
            }
            if (!kiln_array_grow(&test->file, &test->capacity, test->n, sizeof *test->file)) {
                /* what was not looked at yet stays owned by train */
                memmove(train->file + kept, train->file + i, (n - i) * sizeof *train->file);
                train->n = kept + n - i;
                return out_of_memory("images", error);
            }
            test->file[test->n++] = train->file[i];
        }
    }
    train->n = kept;
    return KILN_OK;
}

static void limit_listing(struct listing *listing, int64_t limit)
{
    while (limit > 0 && listing->n > (size_t)limit)
        free(listing->file[--listing->n].path);
}

/* Without image_size every picture has the part's size; else it is made so. */
static enum kiln_status read_picture(const char *path, bool resize, struct kiln_data_part *part,
                                     int64_t index, struct kiln_error *error)
{
    struct kiln_image image;
    enum kiln_status status = kiln_png_read(path, &image, error);
    if (status)
        return status;
    if (!resize && (image.height != part->h || image.width != part->w))
        status = kiln_fail(error, KILN_INPUT,
                           "%s: %lld x %lld pixels, the first picture has %lld x %lld; set "
                           "[data] image_size",
                           path, (long long)image.width, (long long)image.height,
                           (long long)part->w, (long long)part->h);
    else
        status = kiln_image_fit(&image, part->c, part->h, part->w,
                                (uint8_t *)part->x + index * part->c * part->h * part->w, error);
    kiln_image_finish(&image);
    return status;
}

static enum kiln_status read_part(const struct listing *listing, bool labelled, bool resize,
                                  struct kiln_data_part *part, struct kiln_error *error)
{
    part->n = (int64_t)listing->n;
    part->dtype = KILN_U8;
    enum kiln_status status = kiln_data_part_create(part, labelled, error);
    for (size_t i = 0; i < listing->n && !status; i++) {
        status = read_picture(listing->file[i].path, resize, part, (int64_t)i, error);
        if (!status && labelled)
            part->label[i] = listing->file[i].label;
    }
    return status;
}

/* Both parts get the size and channels that the config or the first picture
 * tells. */
static enum kiln_status decide_size(const struct kiln_dataset_spec *spec, const char *first,
                                    struct kiln_data_parts *parts, struct kiln_error *error)
{
    struct kiln_image image;
    enum kiln_status status = kiln_png_read(first, &image, error);
    if (status)
        return status;
    parts->train.c = spec->channels ? spec->channels : image.channels;
    parts->train.h = spec->image_size ? spec->image_size : image.height;
    parts->train.w = spec->image_size ? spec->image_size : image.width;
    parts->test = parts->train;
    kiln_image_finish(&image);
    return KILN_OK;
}

static enum kiln_status read_lists(const struct kiln_dataset_spec *spec, bool labelled,
                                   struct listing *train, struct listing *test,
                                   struct kiln_data_parts *parts, struct kiln_error *error)
{
    limit_listing(train, spec->n_train);
    limit_listing(test, spec->n_test);
    enum kiln_status status = decide_size(spec, train->file[0].path, parts, error);
    if (!status)
        status = read_part(train, labelled, spec->image_size > 0, &parts->train, error);
    if (!status && test->n)
        status = read_part(test, labelled, spec->image_size > 0, &parts->test, error);
    return status;
}

enum kiln_status kiln_data_read_folder(const struct kiln_dataset_spec *spec,
                                       struct kiln_data_parts *parts, struct kiln_error *error)
{
    if (!spec->folder || !*spec->folder)
        return kiln_fail(error, KILN_INPUT,
                         "[data] folder: not set; expected a folder of PNG files");
    struct names classes = {0};
    struct listing train = {0}, test = {0};
    char *train_folder = kiln_path_join(spec->folder, "train");
    char *test_folder = kiln_path_join(spec->folder, "test");
    enum kiln_status status =
        train_folder && test_folder ? KILN_OK : out_of_memory(spec->folder, error);
    bool apart = !status && kiln_directory_exists(train_folder);
    const char *folder = apart ? train_folder : spec->folder;
    if (!status)
        status = list_classes(folder, &classes, error);
    if (!status)
        status = list_split(folder, &classes, &train, error);
    if (!status && apart && kiln_directory_exists(test_folder))
        status = list_split(test_folder, &classes, &test, error);
    else if (!status)
        status = split_listing(&train, &test, error);
    parts->n_classes = (int64_t)classes.n;
    if (!status)
        status = read_lists(spec, classes.n > 0, &train, &test, parts, error);
    listing_finish(&train);
    listing_finish(&test);
    names_finish(&classes);
    free(train_folder);
    free(test_folder);
    return status;
}
