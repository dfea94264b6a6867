/* Data sets of every source, and the order of training. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "core/base/file.h"
#include "core/run/config.h"
#include "core/run/dataset.h"
#include "core/run/points.h"
#include "core/run/png_write.h"
#include "core/run/safetensors.h"
#include "core/run/shapes.h"
#include "scratch.h"

static struct kiln_error error;

static void assert_message(const char *part)
{
    if (!strstr(error.text, part))
        fail_msg("\"%s\" lacks \"%s\"", error.text, part);
}

static struct kiln_dataset *load(struct kiln_dataset_spec spec)
{
    struct kiln_dataset *dataset;
    if (kiln_dataset_create(&spec, &dataset, &error))
        fail_msg("%s", error.text);
    assert_int_equal(dataset->info.n_train, dataset->train.n);
    assert_int_equal(dataset->info.n_test, dataset->test.n);
    return dataset;
}

static void assert_refused(struct kiln_dataset_spec spec, const char *message)
{
    struct kiln_dataset *dataset;
    assert_int_equal(kiln_dataset_create(&spec, &dataset, &error), KILN_INPUT);
    assert_null(dataset);
    assert_message(message);
}

static void assert_shape(const struct kiln_dataset *dataset, int64_t c, int64_t h, int64_t w)
{
    assert_int_equal(dataset->info.channels, c);
    assert_int_equal(dataset->info.height, h);
    assert_int_equal(dataset->info.width, w);
}

/* --- IDX ---------------------------------------------------------------------- */

/* n pictures of side x side, every pixel of picture i being first + i */
static const char *write_pictures(const char *name, int n, int side, int first)
{
    static unsigned char data[16 + 10000];
    memcpy(data, "\0\0\x08\x03\0\0\0\0\0\0\0\0\0\0\0", 16);
    data[7] = (unsigned char)n;
    data[11] = data[15] = (unsigned char)side;
    for (int i = 0; i < n; i++)
        memset(data + 16 + i * side * side, first + i, (size_t)(side * side));
    return scratch_write(name, data, (size_t)(16 + n * side * side));
}

static const char *write_labels(const char *name, int n, int first)
{
    unsigned char data[8 + 255] = {0, 0, 8, 1, 0, 0, 0, (unsigned char)n};
    for (int i = 0; i < n; i++)
        data[8 + i] = (unsigned char)(first + i % 10);
    return scratch_write(name, data, (size_t)(8 + n));
}

static void idx_with_test_files(void **unused)
{
    (void)unused;
    struct kiln_dataset *dataset = load((struct kiln_dataset_spec){
        .images = write_pictures("x", 20, 4, 0),
        .labels = write_labels("y", 20, 0),
        .test_images = write_pictures("tx", 7, 4, 100),
        .test_labels = write_labels("ty", 7, 1),
    });
    assert_shape(dataset, 1, 4, 4);
    assert_int_equal(dataset->dtype, KILN_U8);
    assert_false(dataset->info.points);
    assert_int_equal(dataset->info.n_classes, 10);
    assert_int_equal(dataset->train.n, 20);
    assert_int_equal(dataset->test.n, 7);
    assert_int_equal(dataset->train.label[13], 3);
    assert_int_equal(dataset->test.label[6], 7);
    assert_int_equal(((uint8_t *)dataset->test.x)[6 * 16], 106);
    assert_int_equal(kiln_dataset_sample_bytes(dataset), 16);
    kiln_dataset_destroy(&dataset);
    assert_null(dataset);
}

static void the_last_tenth_is_for_testing(void **unused)
{
    (void)unused;
    const char *images = write_pictures("x", 25, 4, 0), *labels = write_labels("y", 25, 0);
    struct kiln_dataset *dataset =
        load((struct kiln_dataset_spec){.images = images, .labels = labels});
    assert_int_equal(dataset->train.n, 23);
    assert_int_equal(dataset->test.n, 2);
    assert_int_equal(((uint8_t *)dataset->test.x)[0], 23);
    assert_int_equal(dataset->test.label[1], 4);
    kiln_dataset_destroy(&dataset);
    dataset = load((struct kiln_dataset_spec){.images = images, .n_train = 3, .n_test = 1});
    assert_int_equal(dataset->train.n, 3);
    assert_int_equal(dataset->test.n, 1);
    assert_int_equal(((uint8_t *)dataset->test.x)[0], 23);
    assert_null(dataset->train.label);
    assert_int_equal(dataset->info.n_classes, 0);
    kiln_dataset_destroy(&dataset);
    dataset = load((struct kiln_dataset_spec){.images = write_pictures("x", 9, 4, 0)});
    assert_int_equal(dataset->test.n, 0);
    assert_null(dataset->test.x);
    kiln_dataset_destroy(&dataset);
}

static void size_and_channels_are_changed(void **unused)
{
    (void)unused;
    struct kiln_dataset *dataset = load((struct kiln_dataset_spec){
        .images = write_pictures("x", 20, 4, 0), .image_size = 8, .channels = 3});
    assert_shape(dataset, 3, 8, 8);
    const uint8_t *picture = (uint8_t *)dataset->train.x + 5 * 3 * 64;
    assert_int_equal(picture[0], 0); /* the border of 2 */
    assert_int_equal(picture[2 * 8 + 2], 5);
    assert_int_equal(picture[2 * 64 + 5 * 8 + 5], 5);
    kiln_dataset_destroy(&dataset);
}

static void idx_mistakes(void **unused)
{
    (void)unused;
    const char *images = write_pictures("x", 20, 4, 0), *labels = write_labels("y", 20, 0);
    const char *few = write_labels("few", 19, 0), *small = write_pictures("small", 5, 3, 0);
    const struct {
        struct kiln_dataset_spec spec;
        const char *message;
    } cases[] = {
        {{.images = images, .labels = few}, "few: 19 labels, but "},
        {{.images = images, .labels = labels, .n_classes = 5},
         "training sample 5 has label 5, expected 0..4"},
        {{.images = images, .test_images = small}, "[data] test_images: u8 1 x 3 x 3"},
        {{.images = images, .labels = labels, .test_images = images}, "both or neither"},
        {{.images = images, .test_labels = labels}, "test_labels: set without"},
        {{.labels = labels}, "labels: set without [data] images"},
        {{.images = scratch_path("absent")}, "absent: cannot open: No such file"},
        {{.images = labels}, "1 dimensions, expected pictures"},
        {{.images = images, .channels = 2}, "[data] channels: 2"},
        {{.images = images, .image_size = 5000}, "[data] image_size: 5000"},
        {{.images = images, .image_size = -1}, "[data] image_size: -1"},
        {{.images = images, .n_train = -1}, "out of range"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(cases[i].spec, cases[i].message);
}

static void fashion_mnist(void **unused)
{
    (void)unused;
    struct kiln_dataset *dataset;
    if (!kiln_file_exists("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")) {
        assert_refused((struct kiln_dataset_spec){0}, "dataset-fashion-mnist or set [data] images");
        skip();
    }
    dataset = load((struct kiln_dataset_spec){0});
    assert_int_equal(dataset->train.n, 60000);
    assert_int_equal(dataset->test.n, 10000);
    assert_int_equal(dataset->info.n_classes, 10);
    assert_shape(dataset, 1, 28, 28);
    int count[10] = {0};
    for (int i = 0; i < 60000; i++)
        count[dataset->train.label[i]]++;
    for (int i = 0; i < 10; i++)
        assert_int_equal(count[i], 6000);
    uint64_t sum = 0; /* mean 0.2860 of the data set's own documentation */
    for (int i = 0; i < 60000 * 784; i++)
        sum += ((uint8_t *)dataset->train.x)[i];
    assert_true(fabs((double)sum / 255 / 60000 / 784 - 0.2860) < 5e-5);
    kiln_dataset_destroy(&dataset);
}

/* --- safetensors ---------------------------------------------------------------- */

static const char *write_tensors(const char *name, enum kiln_tensor_dtype dtype, float value)
{
    const char *path = scratch_path(name);
    kiln_safetensors_writer *writer;
    assert_int_equal(kiln_safetensors_writer_create(path, &writer, &error), KILN_OK);
    kiln_safetensors_writer_tensor(writer, "labels", KILN_TENSOR_I64, 1, (const int64_t[]){20});
    kiln_safetensors_writer_tensor(writer, "images", dtype, 4, (const int64_t[]){20, 3, 2, 2});
    kiln_safetensors_writer_begin(writer);
    for (int64_t i = 0; i < 20; i++)
        kiln_safetensors_writer_data(writer, &(const int64_t){i % 4}, 8);
    for (int i = 0; i < 240; i++) {
        float real = i == 239 ? value : (float)i / 255.0f;
        if (dtype == KILN_TENSOR_U8)
            kiln_safetensors_writer_data(writer, &(uint8_t){(uint8_t)i}, 1);
        else
            kiln_safetensors_writer_data(writer, &real, 4);
    }
    assert_int_equal(kiln_safetensors_writer_commit(&writer, &error), KILN_OK);
    return path;
}

static void safetensors(void **unused)
{
    (void)unused;
    struct kiln_dataset_spec spec = {.source = KILN_DATA_SAFETENSORS,
                                     .images = write_tensors("u8", KILN_TENSOR_U8, 0)};
    struct kiln_dataset *dataset = load(spec);
    assert_shape(dataset, 3, 2, 2);
    assert_int_equal(dataset->dtype, KILN_U8);
    assert_int_equal(dataset->train.n, 18);
    assert_int_equal(dataset->info.n_classes, 4);
    assert_int_equal(((uint8_t *)dataset->test.x)[23], 239);
    kiln_dataset_destroy(&dataset);
    spec.images = write_tensors("f32", KILN_TENSOR_F32, 1);
    spec.test_images = spec.images;
    dataset = load(spec);
    assert_int_equal(dataset->dtype, KILN_F32);
    assert_int_equal(dataset->train.n, 20);
    assert_int_equal(dataset->test.n, 20);
    assert_true(((float *)dataset->train.x)[7] == 7 / 255.0f);
    assert_int_equal(kiln_dataset_sample_bytes(dataset), 48);
    kiln_dataset_destroy(&dataset);
    spec.image_size = 4;
    assert_refused(spec, "cannot change pictures of f32");
    spec.image_size = 0;
    spec.images = write_tensors("f32", KILN_TENSOR_F32, NAN);
    assert_refused(spec, "picture 19 holds nan, expected 0..1");
    spec.images = write_tensors("f32", KILN_TENSOR_F32, 1.5f);
    assert_refused(spec, "picture 19 holds 1.5, expected 0..1");
    spec.images = "";
    assert_refused(spec, "[data] images: not set");
}

/* --- folders --------------------------------------------------------------------- */

static void write_png(const char *name, int width, int height, int channels, int value)
{
    struct kiln_image image;
    assert_int_equal(kiln_image_create(width, height, channels, (uint8_t)value, &image, &error),
                     KILN_OK);
    assert_int_equal(kiln_png_write(scratch_path(name), &image, 0, NULL, &error), KILN_OK);
    kiln_image_finish(&image);
}

static void a_folder_of_pictures(void **unused)
{
    (void)unused;
    scratch_clear();
    for (int i = 0; i < 12; i++) {
        char name[32];
        snprintf(name, sizeof name, "%02d.%s", 11 - i, i % 2 ? "png" : "PNG");
        write_png(name, 6, 6, 1, 11 - i);
    }
    scratch_write("readme.txt", "x", 1);
    scratch_write(".hidden.png", "x", 1);
    struct kiln_dataset_spec spec = {.source = KILN_DATA_IMAGES, .folder = scratch_path("")};
    struct kiln_dataset *dataset = load(spec);
    assert_shape(dataset, 1, 6, 6);
    assert_int_equal(dataset->train.n, 11);
    assert_int_equal(dataset->test.n, 1);
    assert_null(dataset->train.label);
    for (int i = 0; i < 11; i++)
        assert_int_equal(((uint8_t *)dataset->train.x)[36 * i], i);
    assert_int_equal(((uint8_t *)dataset->test.x)[0], 11);
    kiln_dataset_destroy(&dataset);
    write_png("zz.png", 6, 8, 3, 0);
    assert_refused(spec, "zz.png: 6 x 8 pixels, the first picture has 6 x 6; set");
    spec.image_size = 4;
    spec.channels = 3;
    dataset = load(spec);
    assert_shape(dataset, 3, 4, 4);
    assert_int_equal(dataset->train.n + dataset->test.n, 13);
    kiln_dataset_destroy(&dataset);
    scratch_write("05.png", "not a png", 9);
    assert_refused(spec, "05.png: not a PNG file");
}

static void folders_are_classes(void **unused)
{
    (void)unused;
    scratch_clear();
    static const char *const classes[] = {"cat", "dog"};
    for (int c = 0; c < 2; c++) {
        assert_int_equal(mkdir(scratch_path(classes[c]), 0700), 0);
        for (int i = 0; i < 10 + 10 * c; i++) {
            char name[32];
            snprintf(name, sizeof name, "%s/%02d.png", classes[c], i);
            write_png(name, 2, 2, 1, 100 * c + i);
        }
    }
    struct kiln_dataset_spec spec = {.source = KILN_DATA_IMAGES, .folder = scratch_path("")};
    struct kiln_dataset *dataset = load(spec);
    assert_int_equal(dataset->info.n_classes, 2);
    assert_int_equal(dataset->train.n, 27);
    assert_int_equal(dataset->test.n, 3);
    const uint8_t *test = dataset->test.x;
    assert_int_equal(test[0], 9);
    assert_int_equal(test[4], 118);
    assert_int_equal(dataset->test.label[0], 0);
    assert_int_equal(dataset->test.label[1], 1);
    for (int i = 0; i < 27; i++)
        assert_int_equal(((uint8_t *)dataset->train.x)[4 * i] / 100, dataset->train.label[i]);
    kiln_dataset_destroy(&dataset);
}

static void train_and_test_folders(void **unused)
{
    (void)unused;
    scratch_clear();
    assert_int_equal(kiln_directory_create(scratch_path("train/a"), &error), KILN_OK);
    assert_int_equal(kiln_directory_create(scratch_path("test/a"), &error), KILN_OK);
    struct kiln_dataset_spec spec = {.source = KILN_DATA_IMAGES, .folder = scratch_path("")};
    assert_refused(spec, "train: holds 0 PNG files");
    write_png("train/a/1.png", 2, 2, 1, 1);
    write_png("test/a/2.png", 2, 2, 1, 2);
    struct kiln_dataset *dataset = load(spec);
    assert_int_equal(dataset->train.n, 1);
    assert_int_equal(dataset->test.n, 1);
    assert_int_equal(((uint8_t *)dataset->test.x)[3], 2);
    kiln_dataset_destroy(&dataset);
    scratch_clear();
    assert_refused(spec, "holds no PNG files and no folders");
    spec.folder = scratch_path("absent");
    assert_refused(spec, "absent: cannot list: No such file");
    spec.folder = "";
    assert_refused(spec, "[data] folder: not set");
    spec.source = KILN_DATA_CIFAR10;
    assert_refused(spec, "[data] folder: not set");
}

/* --- drawn ------------------------------------------------------------------------ */

static void shapes(void **unused)
{
    (void)unused;
    struct kiln_dataset *dataset = load((struct kiln_dataset_spec){
        .source = KILN_DATA_SHAPES, .n_train = 2000, .n_test = 50, .seed = 3});
    assert_shape(dataset, 1, 28, 28);
    assert_int_equal(dataset->info.n_classes, 10);
    int count[10] = {0};
    for (int i = 0; i < 2000; i++) {
        const uint8_t *picture = (uint8_t *)dataset->train.x + i * 784;
        int brightest = 0;
        for (int k = 0; k < 784; k++)
            brightest = picture[k] > brightest ? picture[k] : brightest;
        assert_in_range(brightest, 130, 255);
        for (int k = 0; k < 28; k++) /* the shape is whole: it does not touch the corners */
            assert_int_equal(picture[0] + picture[27] + picture[756] + picture[783], 0);
        count[dataset->train.label[i]]++;
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(count[i], 140, 260); /* 200, standard deviation 13 */
    /* by index: the same whatever is drawn with it; other seeds differ */
    static uint8_t one[784];
    int32_t label;
    kiln_shapes_draw(3, 1234, 1, 28, one, &label);
    assert_memory_equal(one, (uint8_t *)dataset->train.x + 1234 * 784, 784);
    assert_int_equal(label, dataset->train.label[1234]);
    kiln_shapes_draw(4, 1234, 1, 28, one, &label);
    assert_memory_not_equal(one, (uint8_t *)dataset->train.x + 1234 * 784, 784);
    assert_memory_not_equal(dataset->train.x, dataset->test.x, 784);
    kiln_dataset_destroy(&dataset);
    assert_string_equal(kiln_shapes_class_name(0), "disc");
    assert_string_equal(kiln_shapes_class_name(10), "");
    assert_refused((struct kiln_dataset_spec){.source = KILN_DATA_SHAPES, .image_size = 7},
                   "[data] image_size: 7, expected 8..1024");
}

/* The same bytes on every machine. */
static void shapes_are_frozen(void **unused)
{
    (void)unused;
    static uint8_t pictures[100 * 784];
    int32_t labels[100];
    kiln_shapes_draw(0, 0, 100, 28, pictures, labels);
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < sizeof pictures; i++)
        hash = (hash ^ pictures[i]) * 16777619u;
    assert_int_equal(hash, 0x7E420B78u);
}

static void points(void **unused)
{
    (void)unused;
    struct kiln_dataset *dataset = load((struct kiln_dataset_spec){
        .source = KILN_DATA_POINTS, .mixture = "1 -5 -4 1 2|3 5 4 .5", .n_train = 20000});
    assert_true(dataset->info.points);
    assert_shape(dataset, 2, 1, 1);
    assert_int_equal(dataset->info.n_classes, 2);
    assert_int_equal(dataset->test.n, 2000);
    assert_int_equal(dataset->dtype, KILN_F32);
    static const double mean[2][2] = {{-5, -4}, {5, 4}}, sigma[2][2] = {{1, 2}, {0.5, 0.5}};
    double count[2] = {0}, sum[2][2] = {{0}}, squares[2][2] = {{0}};
    for (int i = 0; i < 20000; i++) {
        const float *point = (float *)dataset->train.x + 2 * i;
        int k = dataset->train.label[i];
        count[k]++;
        for (int a = 0; a < 2; a++) {
            sum[k][a] += point[a] - mean[k][a];
            squares[k][a] += (point[a] - mean[k][a]) * (point[a] - mean[k][a]);
        }
    }
    assert_true(fabs(count[0] - 5000) < 5 * sqrt(20000 * 0.25 * 0.75));
    for (int k = 0; k < 2; k++)
        for (int a = 0; a < 2; a++) { /* five standard errors */
            assert_true(fabs(sum[k][a] / count[k]) < 5 * sigma[k][a] / sqrt(count[k]));
            double variance = squares[k][a] / count[k] / (sigma[k][a] * sigma[k][a]);
            assert_true(fabs(variance - 1) < 5 * sqrt(2 / count[k]));
        }
    kiln_dataset_destroy(&dataset);
}

static void mixtures_are_parsed(void **unused)
{
    (void)unused;
    struct kiln_mixture mixture;
    assert_int_equal(kiln_mixture_parse("0.2 -5 -5 1 | 0.8 5 5 1", &mixture, &error), KILN_OK);
    assert_int_equal(mixture.n, 2);
    assert_true(fabs(mixture.weight[1] - 0.8) < 1e-12);
    assert_true(mixture.mean[0][1] == -5 && mixture.sigma[1][1] == 1);
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "component 1: expected"},         {"1 2 3", "component 1: expected"},
        {"1 2 3 4 5 6", "component 1"},        {"1 2 3 4 |", "component 2: expected"},
        {"1 2 3 4 || 1 2 3 4", "component 2"}, {"1 2 3 x", "component 1"},
        {"1 2 3 0", "component 1: weight"},    {"0 2 3 1", "component 1: weight"},
        {"1 2 3 1 -1", "component 1: weight"}, {"nan 2 3 1", "component 1"},
        {"1 inf 3 1", "component 1"},          {"1 2 3 4 5 6 7 8 9", "component 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(kiln_mixture_parse(cases[i].text, &mixture, &error), KILN_INPUT);
        assert_message(cases[i].message);
    }
    char many[65 * 10 + 1] = "";
    for (int i = 0; i < 65; i++)
        strcat(many, i ? "|1 0 0 1  " : "1 0 0 1");
    assert_int_equal(kiln_mixture_parse(many, &mixture, &error), KILN_INPUT);
    assert_message("more than 64 components");
}

/* --- config ------------------------------------------------------------------------ */

static kiln_config *read_config(const char *text)
{
    static const struct kiln_model toy = {.name = "toy"};
    const struct kiln_config_source source = {
        .path = "a.ini", .text = text, .text_bytes = strlen(text), .model = &toy};
    kiln_config *config;
    if (kiln_config_load(&source, &config, &error))
        fail_msg("%s", error.text);
    return config;
}

static void a_config_is_loaded(void **unused)
{
    (void)unused;
    kiln_config *config = read_config("[data]\nsource = shapes\nimage_size = 16\nseed = 9\n"
                                      "n_train = 30\nn_test = 5\nchannels = 3\n");
    struct kiln_dataset *dataset;
    if (kiln_dataset_load(config, &dataset, &error))
        fail_msg("%s", error.text);
    assert_shape(dataset, 3, 16, 16);
    assert_int_equal(dataset->train.n, 30);
    assert_int_equal(dataset->test.n, 5);
    kiln_dataset_destroy(&dataset);
    kiln_config_destroy(&config);
    config = read_config("");
    struct kiln_dataset_spec spec;
    assert_int_equal(kiln_dataset_spec_read(config, &spec, &error), KILN_OK);
    assert_int_equal(spec.source, KILN_DATA_IDX);
    assert_string_equal(spec.images, "");
    assert_int_equal(spec.n_train + spec.image_size + spec.channels + spec.n_classes, 0);
    kiln_config_destroy(&config);
}

static void errors_name_the_line(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[data]\nchannels = 2\n", "a.ini:2: [data] channels: 2, expected 0, 1 or 3"},
        {"[data]\n\nimages = /absent\n",
         "a.ini:3: [data] images: /absent: cannot open: No such file or directory"},
        {"[data]\nsource = cifar10\nfolder = /absent\n",
         "a.ini:3: [data] folder: /absent/data_batch_1.bin: cannot open: No such file or "
         "directory"},
        {"[data]\nsource = points\nmixture = 1 2\n", "a.ini:3: [data] mixture: component 1: "},
        {"[data]\nsource = images\n", "default: [data] folder: not set"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kiln_config *config = read_config(cases[i].text);
        struct kiln_dataset *dataset;
        assert_int_equal(kiln_dataset_load(config, &dataset, &error), KILN_INPUT);
        assert_null(dataset);
        if (strncmp(error.text, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("\"%s\", expected \"%s\"", error.text, cases[i].message);
        kiln_config_destroy(&config);
    }
}

/* --- order ------------------------------------------------------------------------- */

static void a_shuffle_is_a_permutation(void **unused)
{
    (void)unused;
    enum { N = 1000 };
    int32_t a[N], b[N];
    bool seen[N] = {false};
    kiln_shuffle(1, 0, N, a);
    for (int i = 0; i < N; i++) {
        assert_in_range(a[i], 0, N - 1);
        assert_false(seen[a[i]]);
        seen[a[i]] = true;
    }
    kiln_shuffle(1, 0, N, b);
    assert_memory_equal(a, b, sizeof a);
    kiln_shuffle(1, 1, N, b);
    assert_memory_not_equal(a, b, sizeof a);
    kiln_shuffle(2, 0, N, b);
    assert_memory_not_equal(a, b, sizeof a);
    kiln_shuffle(2, 0, 0, b);
    kiln_shuffle(2, 0, 1, b);
    assert_int_equal(b[0], 0);
}

/* Each element is as often at each place. */
static void a_shuffle_is_fair(void **unused)
{
    (void)unused;
    enum { N = 7, ROUNDS = 70000 };
    int count[N][N] = {{0}};
    for (int round = 0; round < ROUNDS; round++) {
        int32_t order[N];
        kiln_shuffle(5, (uint64_t)round, N, order);
        for (int i = 0; i < N; i++)
            count[i][order[i]]++;
    }
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++) /* 10000, standard deviation 93 */
            assert_in_range(count[i][k], 9500, 10500);
}

/* Computed from the definition in dataset.h by a separate program. */
static void the_order_is_frozen(void **unused)
{
    (void)unused;
    static const int32_t expected[8] = {4, 7, 5, 0, 3, 1, 2, 6};
    int32_t order[8];
    kiln_shuffle(0x123456789ABCDEFu, 3, 8, order);
    assert_memory_equal(order, expected, sizeof order);
}

static void batches_cover_each_epoch(void **unused)
{
    (void)unused;
    enum { N = 10, SIZE = 4, DRAWS = 15 };
    kiln_batches *batches;
    assert_int_equal(kiln_batches_create(7, N, SIZE, &batches, &error), KILN_OK);
    int32_t sequence[DRAWS * SIZE], order[N];
    for (int i = 0; i < DRAWS; i++)
        kiln_batches_indices(batches, (uint64_t)i, sequence + i * SIZE);
    for (int epoch = 0; epoch < DRAWS * SIZE / N; epoch++) {
        kiln_shuffle(7, (uint64_t)epoch, N, order);
        assert_memory_equal(sequence + epoch * N, order, sizeof order);
    }
    int32_t again[SIZE]; /* any draw, in any order */
    for (int i = DRAWS - 1; i >= 0; i--) {
        kiln_batches_indices(batches, (uint64_t)i, again);
        assert_memory_equal(again, sequence + i * SIZE, sizeof again);
    }
    kiln_batches_destroy(&batches);
    assert_null(batches);
    assert_int_equal(kiln_batches_create(7, 3, 8, &batches, &error), KILN_OK);
    int32_t large[8];
    kiln_batches_indices(batches, 0, large);
    for (int i = 0; i < 6; i += 3)
        assert_int_equal(large[i] + large[i + 1] + large[i + 2], 3);
    kiln_batches_destroy(&batches);
    assert_int_equal(kiln_batches_create(7, 0, 8, &batches, &error), KILN_INPUT);
    assert_int_equal(kiln_batches_create(7, 8, 0, &batches, &error), KILN_INPUT);
    assert_int_equal(kiln_batches_create(7, (int64_t)1 << 31, 1, &batches, &error), KILN_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idx_with_test_files),
        cmocka_unit_test(the_last_tenth_is_for_testing),
        cmocka_unit_test(size_and_channels_are_changed),
        cmocka_unit_test(idx_mistakes),
        cmocka_unit_test(fashion_mnist),
        cmocka_unit_test(safetensors),
        cmocka_unit_test(a_folder_of_pictures),
        cmocka_unit_test(folders_are_classes),
        cmocka_unit_test(train_and_test_folders),
        cmocka_unit_test(shapes),
        cmocka_unit_test(shapes_are_frozen),
        cmocka_unit_test(points),
        cmocka_unit_test(mixtures_are_parsed),
        cmocka_unit_test(a_config_is_loaded),
        cmocka_unit_test(errors_name_the_line),
        cmocka_unit_test(a_shuffle_is_a_permutation),
        cmocka_unit_test(a_shuffle_is_fair),
        cmocka_unit_test(the_order_is_frozen),
        cmocka_unit_test(batches_cover_each_epoch),
    };
    return cmocka_run_group_tests(tests, scratch_create, scratch_destroy);
}
