#include "core/context.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/environment.h"
#include "core/isa.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/status.h"
#include "tread_config.h"

static const char *const backend_names[] = {"auto", "onednn", "ref"};

tread_context_options tread_context_defaults(void) {
    return (tread_context_options){.size = sizeof(tread_context_options)};
}

static tread_status choose_backend(tread_backend option, tread_context *made) {
    if ((unsigned)option > TREAD_BACKEND_REF)
        return tread_fail(TREAD_ERROR_ARGUMENT, "context: backend %d is not one of auto (0), onednn (1), ref (2)",
                          (int)option);
    int wish = TREAD_BACKEND_AUTO;
    TREAD_TRY(tread_environment_word("TREAD_BACKEND", backend_names, 3, &wish));
    if (option != TREAD_BACKEND_AUTO)
        wish = (int)option;
    if (wish == TREAD_BACKEND_ONEDNN && !TREAD_HAVE_ONEDNN)
        return tread_fail(TREAD_ERROR_BACKEND, "%s asks for oneDNN, which is not in this build",
                          option != TREAD_BACKEND_AUTO ? "context: backend" : "TREAD_BACKEND=onednn");
    made->ref_by_name = wish == TREAD_BACKEND_REF;
    if (wish == TREAD_BACKEND_AUTO)
        wish = TREAD_HAVE_ONEDNN ? TREAD_BACKEND_ONEDNN : TREAD_BACKEND_REF;
    made->backend = (tread_backend)wish;
    return TREAD_OK;
}

/* Fills all of *context, or leaves it alone. The file comes last, so that no other failure leaves one behind. */
static tread_status init(tread_context *context, const tread_context_options *given) {
    tread_context_options options = tread_context_defaults();
    TREAD_TRY(tread_options_read("context", given, &options, sizeof options));
    tread_context made = {.seed = options.seed, .log = options.log, .log_data = options.log_data};
    TREAD_TRY(tread_isa_check_environment());
    TREAD_TRY(choose_backend(options.backend, &made));
    TREAD_TRY(tread_thread_count_decide(options.threads, &made.count));
    const char *file = options.trace != NULL ? options.trace : tread_environment_text("TREAD_TRACE");
    if (file != NULL)
        TREAD_TRY(tread_trace_create(file, &made.trace));
    *context = made;
    return TREAD_OK;
}

static void write_trace(const tread_context *context) {
    if (context->trace == NULL)
        return;
    char title[256];
    snprintf(title, sizeof title, "%d thread%s (%s), %s, %s", context->count.threads,
             context->count.threads == 1 ? "" : "s", context->count.reason, backend_names[context->backend],
             tread_isa_name(tread_isa_chosen()));
    if (tread_trace_write(context->trace, title) != TREAD_OK)
        tread_context_log(context, "%s", tread_last_error());
}

tread_context *tread_context_create(const tread_context_options *options) {
    tread_context made;
    if (init(&made, options) != TREAD_OK)
        return NULL;
    tread_context *context = tread_alloc(sizeof *context, "a context");
    if (context == NULL)
        tread_trace_destroy(made.trace);
    else
        *context = made;
    return context;
}

static tread_context default_context;
static tread_status default_status;
static char default_error[512];
static pthread_once_t default_once = PTHREAD_ONCE_INIT;
static atomic_bool default_made;

static void make_default(void) {
    default_status = init(&default_context, NULL);
    if (default_status != TREAD_OK) {
        snprintf(default_error, sizeof default_error, "%s", tread_last_error());
        default_context.count = (tread_thread_count){.threads = 1, .reason = "the environment could not be used"};
        default_context.backend = TREAD_BACKEND_REF;
    }
    atomic_store_explicit(&default_made, true, memory_order_release);
}

const tread_context *tread_context_resolve(const tread_context *context) {
    if (context != NULL)
        return context;
    if (!atomic_load_explicit(&default_made, memory_order_acquire))
        pthread_once(&default_once, make_default);
    return &default_context;
}

tread_status tread_context_default_status(void) {
    tread_context_resolve(NULL);
    return default_status == TREAD_OK ? TREAD_OK : tread_fail(default_status, "%s", default_error);
}

/* The table of the default context, which nobody destroys. Its memory stays: other threads may still be adding. */
__attribute__((destructor)) static void write_default_trace(void) {
    if (atomic_load_explicit(&default_made, memory_order_acquire))
        write_trace(&default_context);
}

void tread_context_destroy(tread_context *context) {
    if (context == NULL || context == &default_context)
        return;
    write_trace(context);
    tread_trace_destroy(context->trace);
    tread_free(context);
}

int tread_context_threads(const tread_context *context) { return tread_context_resolve(context)->count.threads; }
const char *tread_context_threads_reason(const tread_context *context) {
    return tread_context_resolve(context)->count.reason;
}
tread_backend tread_context_backend(const tread_context *context) { return tread_context_resolve(context)->backend; }
uint64_t tread_context_seed(const tread_context *context) { return tread_context_resolve(context)->seed; }

void tread_context_log(const tread_context *context, const char *format, ...) {
    context = tread_context_resolve(context);
    if (context->log == NULL)
        return;
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    context->log(context->log_data, line);
}
