/* The options of section [data]. */
#include "core/run/dataset.h"

const struct kiln_option kiln_data_options[] = {
    {"data", "source", KILN_OPTION_CHOICE, "shapes", 0, 0,
     "idx|cifar10|images|safetensors|points|shapes", "kind of data; shapes are drawn by Kiln"},
    {"data", "images", KILN_OPTION_STRING, "", 0, 0, NULL,
     "idx, safetensors: file of the training pictures"},
    {"data", "labels", KILN_OPTION_STRING, "", 0, 0, NULL, "idx: file of their classes"},
    {"data", "test_images", KILN_OPTION_STRING, "", 0, 0, NULL,
     "idx, safetensors: file of the test pictures; empty: the last tenth is kept for tests"},
    {"data", "test_labels", KILN_OPTION_STRING, "", 0, 0, NULL, "idx: file of their classes"},
    {"data", "folder", KILN_OPTION_STRING, "", 0, 0, NULL, "cifar10, images: where the files are"},
    {"data", "mixture", KILN_OPTION_STRING, "", 0, 0, NULL, "points: the Gaussian mixture"},
    {"data", "image_size", KILN_OPTION_INT, "0", 0, 4096, NULL,
     "height and width of a picture; 0: as the source has them"},
    {"data", "channels", KILN_OPTION_INT, "0", 0, 3, NULL,
     "1 grey, 3 colour; 0: as the source has them"},
    {"data", "n_classes", KILN_OPTION_INT, "0", 0, 100000, NULL,
     "number of classes; 0: as the source has them"},
    {"data", "n_train", KILN_OPTION_INT, "0", 0, 1e9, NULL, "largest training set; 0: everything"},
    {"data", "n_test", KILN_OPTION_INT, "0", 0, 1e9, NULL, "largest test set; 0: everything"},
    {"data", "flip", KILN_OPTION_BOOL, "false", 0, 0, NULL,
     "mirror half of the training pictures at random"},
    {"data", "device_memory", KILN_OPTION_INT, "1024", 0, 1e9, NULL,
     "MiB of device memory for the data; a larger set streams through a ring"},
    {0}};
