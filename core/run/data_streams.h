/*
 * Random streams of the host's data: the fourth word of Philox's counter, far
 * from the streams that graphs use, so that one seed serves all.
 */
#ifndef KILN_RUN_DATA_STREAMS_H
#define KILN_RUN_DATA_STREAMS_H

enum {
    KILN_STREAM_SHUFFLE = 0x7F000001,
    KILN_STREAM_POINTS = 0x7F000002,
    KILN_STREAM_SHAPES = 0x7F000003
};

#endif
