/* The kiln program: picks the command. */
#include <stdio.h>

int main(void)
{
    puts("kiln " KILN_VERSION);
    return 0;
}
