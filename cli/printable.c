#include "cli/printable.h"

#include <stdio.h>

const char *cli_printable(char buffer[CLI_PRINTABLE], const char *text) {
    snprintf(buffer, CLI_PRINTABLE, "%s", text);
    for (unsigned char *at = (unsigned char *)buffer; *at != '\0'; at++) {
        if (*at < 0x20 || *at == 0x7f)
            *at = '?';
        if (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0) /* those of U+0080 to U+009F, in UTF-8 */
            at[0] = at[1] = '?';
    }
    return buffer;
}
