/* Letters of 5 x 7 cells. */
#include <string.h>

#include "core/run/plot_canvas.h"

enum { FIRST = ' ', LAST = '~', ROWS = 7, WIDTH = 5, STEP = 6, DESCENT = 2 };

/* Rows from the top, two hexadecimal digits each, the left cell highest; '+'
 * sets a glyph two cells lower. */
static const char *const glyphs[LAST - FIRST + 1] = {
    "00000000000000",  "04040404040004",  "0A0A0000000000",  "0A0A1F0A1F0A0A",
    "040F140E051E04",  "18190204081303",  "0C12140815120D",  "04040000000000",
    "02040808080402",  "08040202020408",  "0004150E150400",  "0004041F040400",
    "00000000040408+", "0000001F000000",  "0000000000000C",  "01010204081010",
    "0E11131519110E",  "040C040404040E",  "0E11010204081F",  "1F02040201110E",
    "02060A121F0202",  "1F101E0101110E",  "0608101E11110E",  "1F010204080808",
    "0E11110E11110E",  "0E11110F01020C",  "000C0C000C0C00",  "000C0C000C0408",
    "02040810080402",  "00001F001F0000",  "08040201020408",  "0E110102040004",
    "0E11171517100E",  "0E11111F111111",  "1E11111E11111E",  "0E11101010110E",
    "1E11111111111E",  "1F10101E10101F",  "1F10101E101010",  "0E11101711110F",
    "1111111F111111",  "0E04040404040E",  "0702020202120C",  "11121418141211",
    "1010101010101F",  "111B1515111111",  "11111915131111",  "0E11111111110E",
    "1E11111E101010",  "0E11111115120D",  "1E11111E141211",  "0F10100E01011E",
    "1F040404040404",  "1111111111110E",  "11111111110A04",  "11111115151B11",
    "11110A040A1111",  "11110A04040404",  "1F01020408101F",  "0E08080808080E",
    "10100804020101",  "0E02020202020E",  "040A1100000000",  "0000000000001F",
    "08040000000000",  "00000E010F110F",  "1010161911111E",  "00000E1010110E",
    "01010D1311110F",  "00000E111F100E",  "0609081C080808",  "0F1111110F010E+",
    "10101619111111",  "04000C0404040E",  "0200060202120C",  "10101214181412",
    "0C04040404040E",  "00001A15151515",  "00001619111111",  "00000E1111110E",
    "1E1111111E1010+", "0F1111110F0101+", "00001619101010",  "00000F100E011E",
    "08081C08080906",  "0000111111130D",  "00001111110A04",  "0000111115150A",
    "0000110A040A11",  "111111110F010E+", "00001F0204081F",  "02040408040402",
    "04040404040404",  "08040402040408",  "00000815020000"};

static unsigned digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'A' + 10);
}

static void draw_glyph(const struct kiln_canvas *canvas, int64_t x, int64_t y, int scale,
                       const char *glyph, const uint8_t rgb[3])
{
    for (int row = 0; row < ROWS; row++) {
        unsigned cells = digit(glyph[2 * row]) << 4 | digit(glyph[2 * row + 1]);
        for (int column = 0; column < WIDTH; column++)
            if (cells >> (WIDTH - 1 - column) & 1)
                kiln_canvas_fill(canvas, x + column * scale, y + row * scale, scale, scale, rgb);
    }
}

void kiln_canvas_text(const struct kiln_canvas *canvas, int64_t x, int64_t y, int scale,
                      const char *text, const uint8_t rgb[3])
{
    for (; *text; text++, x += STEP * scale) {
        const char *glyph = glyphs[(*text >= FIRST && *text <= LAST ? *text : '?') - FIRST];
        draw_glyph(canvas, x, y + (glyph[2 * ROWS] ? DESCENT * scale : 0), scale, glyph, rgb);
    }
}

int64_t kiln_canvas_text_width(int scale, const char *text)
{
    size_t n = strlen(text);
    return n ? (int64_t)n * STEP * scale - scale : 0;
}

int64_t kiln_canvas_text_height(int scale)
{
    return (int64_t)ROWS * scale;
}
