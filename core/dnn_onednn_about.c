/* What tread info says of oneDNN. */
#include <oneapi/dnnl/dnnl.h>
#include <oneapi/dnnl/dnnl_debug.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/dnn.h"

static char version_text[32];

static void write_version(void) {
    const dnnl_version_t *version = dnnl_version();
    snprintf(version_text, sizeof version_text, "%d.%d.%d", version->major, version->minor, version->patch);
}

const char *tread_dnn_version(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, write_version);
    return version_text;
}

/* An instruction set's number has a bit for each part of it. */
bool tread_dnn_has_bf16(void) {
    unsigned isa = (unsigned)dnnl_get_effective_cpu_isa(), needed = dnnl_cpu_isa_avx512_core_bf16;
    return (isa & needed) == needed;
}

const char *tread_dnn_isa(void) {
    const char *text = dnnl_cpu_isa2str(dnnl_get_effective_cpu_isa());
    return strncmp(text, "cpu_isa_", 8) == 0 ? text + 8 : text;
}
