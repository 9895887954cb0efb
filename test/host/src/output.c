/*
 * Outputs through the Go proxy, in the order of calls of 5.1.1 flb_plugin_proxy.c and proxy/go/go.c:
 * FLBPluginPreRegister, FLBPluginRegister, FLBPluginInit, FLBPluginOutputPreRun, FLBPluginFlushCtx ...,
 * FLBPluginOutputPreExit, FLBPluginExitCtx, FLBPluginUnregister. Flush threads take chunks from one
 * queue; a chunk that is to be retried stays with its thread until it is delivered.
 */
#include "host.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define QUEUE_MAX 64 /* chunks waiting; beyond that the input waits */
#define SLICE_MS 50  /* longest delay until a waiting thread notices the end of the grace time */
#define LONGEST_PAUSE_MS 30000

struct flb_output_instance {
    char name[64];
    struct properties props; /* without those that the core consumes */
    int log_level;
};

struct queued {
    struct queued *next;
    unsigned char *data;
    size_t len;
};

struct output {
    void *handle;
    struct proxy_def def;
    struct proxy_api api;
    struct proxy_context context;
    struct go_output_plugin plugin;
    struct flb_output_instance ins;
    bool initialized, exited;
    const char *tag;
    long retry_pause_ms;

    pthread_t *threads;
    long thread_count;
    pthread_mutex_t lock; /* guards all fields below */
    pthread_cond_t changed;
    struct queued *first, **last;
    size_t waiting, busy;
    bool closing;
    struct output_stats stats;
};

EXPORT const char *flb_output_get_property(const char *key, struct flb_output_instance *ins);
EXPORT const char *flb_output_name(struct flb_output_instance *ins);
EXPORT int flb_output_log_check(struct flb_output_instance *ins, int level);

EXPORT const char *flb_output_get_property(const char *key, struct flb_output_instance *ins)
{
    return properties_get(&ins->props, key);
}

EXPORT const char *flb_output_name(struct flb_output_instance *ins)
{
    return ins->name;
}

EXPORT int flb_output_log_check(struct flb_output_instance *ins, int level)
{
    return level <= ins->log_level;
}

/* Functions of the table that outputs do not use: this host has no inputs, customs or metrics. */
static const char *no_input_property(const char *key, struct flb_input_instance *ins)
{
    (void)key;
    (void)ins;
    return NULL;
}

static const char *no_custom_property(const char *key, void *ins)
{
    (void)key;
    (void)ins;
    return NULL;
}

static void *no_output_metrics(struct flb_output_instance *ins)
{
    (void)ins;
    return NULL;
}

static void *no_input_metrics(struct flb_input_instance *ins)
{
    (void)ins;
    return NULL;
}

static int no_input_log(struct flb_input_instance *ins, int level)
{
    (void)ins;
    return level <= LOG_INFO;
}

static int no_custom_log(void *ins, int level)
{
    (void)ins;
    return level <= LOG_INFO;
}

/* Properties that 5.1.1 flb_output_set_property consumes: a Go plugin never sees them. */
static bool kept_by_core(const char *key)
{
    static const char *const kept[] = {"match", "match_regex", "alias", "log_level", "log_suppress_interval",
                                       "host", "port", "ipv6", "retry_limit", "tls",
                                       "storage.total_limit_size", "workers"};

    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        if (strcasecmp(key, kept[i]) == 0) {
            return true;
        }
    }
    return strncasecmp(key, "net.", 4) == 0 || strncasecmp(key, "oauth2", 6) == 0 || strncasecmp(key, "tls.", 4) == 0;
}

/* ISO C has no conversion from void * to a function pointer; POSIX guarantees the same representation. */
#define SYMBOL(o, name, variable)                           \
    do {                                                    \
        void *found_ = dlsym((o)->handle, name);            \
        memcpy(&(variable), &found_, sizeof found_);        \
    } while (0)

static bool register_plugin(struct output *o, bool hot_reloading)
{
    int (*pre_register)(int);
    int (*register_fn)(struct proxy_def *);

    SYMBOL(o, "FLBPluginPreRegister", pre_register);
    if (pre_register != NULL && pre_register(hot_reloading) == -1) {
        return false;
    }
    SYMBOL(o, "FLBPluginRegister", register_fn);
    if (register_fn == NULL || register_fn(&o->def) == -1) {
        host_log(LOG_ERROR, "[proxy] FLBPluginRegister is missing or failed");
        return false;
    }
    if (o->def.type != PROXY_OUTPUT_PLUGIN || o->def.proxy != PROXY_GOLANG || o->def.name == NULL) {
        host_log(LOG_ERROR, "[proxy] the plugin registered as something else than a Go output");
        return false;
    }
    SYMBOL(o, "FLBPluginInit", o->plugin.cb_init);
    SYMBOL(o, "FLBPluginFlush", o->plugin.cb_flush);
    SYMBOL(o, "FLBPluginFlushCtx", o->plugin.cb_flush_ctx);
    SYMBOL(o, "FLBPluginExit", o->plugin.cb_exit);
    SYMBOL(o, "FLBPluginExitCtx", o->plugin.cb_exit_ctx);
    if (o->plugin.cb_init == NULL || (o->plugin.cb_flush == NULL && o->plugin.cb_flush_ctx == NULL)) {
        host_log(LOG_ERROR, "[go proxy]: could not load FLBPluginInit or the flush function");
        return false;
    }
    return true;
}

struct output *output_load(const char *path, bool hot_reloading)
{
    struct output *o = host_alloc(sizeof *o);
    pthread_condattr_t monotonic;

    pthread_mutex_init(&o->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&o->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    o->last = &o->first;
    o->handle = dlopen(path, RTLD_LAZY);
    if (o->handle == NULL) {
        host_log(LOG_ERROR, "[proxy] error opening plugin %s: '%s'", path, dlerror());
    } else if (register_plugin(o, hot_reloading)) {
        o->plugin.name = o->def.name;
        return o;
    }
    host_log(LOG_ERROR, "[plugin] error loading proxy plugin: %s", path);
    output_close(o, false, &(struct output_stats){0});
    return NULL;
}

/* Waits up to SLICE_MS for a change; call it with the lock held. */
static void wait_slice(struct output *o)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += SLICE_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_cond_timedwait(&o->changed, &o->lock, &until);
}

static long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long)(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

static int flush_once(struct output *o, const struct queued *q)
{
    char *tag = host_strdup(o->tag); /* the plugin may keep or change its copy, as in the real host */
    int answer = o->plugin.cb_flush_ctx != NULL
                     ? o->plugin.cb_flush_ctx(o->context.remote_context, q->data, q->len, tag)
                     : o->plugin.cb_flush(q->data, q->len, tag);

    free(tag);
    return answer;
}

/* Sends one chunk until it is accepted or refused, or the grace time is over; call it without the lock. */
static void deliver(struct output *o, const struct queued *q)
{
    long pause = o->retry_pause_ms;
    int answer = FLUSH_RETRY;

    while (!grace_over() && (answer = flush_once(o, q)) == FLUSH_RETRY && !grace_over()) {
        host_log(LOG_WARN, "[host] %s asks for the chunk again, next try in %ld ms", o->ins.name, pause);
        long until = now_ms() + pause;
        pthread_mutex_lock(&o->lock);
        while (now_ms() < until && !grace_over()) {
            wait_slice(o);
        }
        if (grace_over()) {
            pthread_mutex_unlock(&o->lock);
            break;
        }
        o->stats.resends++;
        pthread_mutex_unlock(&o->lock);
        pause = pause * 2 > LONGEST_PAUSE_MS ? LONGEST_PAUSE_MS : pause * 2;
    }
    pthread_mutex_lock(&o->lock);
    o->stats.delivered += answer == FLUSH_OK;
    o->stats.undelivered += answer == FLUSH_RETRY;
    o->stats.dropped += answer != FLUSH_OK && answer != FLUSH_RETRY;
    pthread_mutex_unlock(&o->lock);
    if (answer != FLUSH_OK) {
        host_log(LOG_ERROR, "[host] %s: a chunk of %zu bytes is lost: %s", o->ins.name, q->len,
                 answer == FLUSH_RETRY ? "not delivered in time" : "the output answered with an error");
        status_raise(STATUS_UNDELIVERED);
    }
}

static void *flush_thread(void *arg)
{
    struct output *o = arg;

    pthread_mutex_lock(&o->lock);
    for (;;) {
        while (o->first == NULL && !o->closing) {
            pthread_cond_wait(&o->changed, &o->lock);
        }
        struct queued *q = o->first;
        if (q == NULL) {
            break;
        }
        o->first = q->next;
        if (o->first == NULL) {
            o->last = &o->first;
        }
        o->waiting--;
        o->busy++;
        pthread_cond_broadcast(&o->changed);
        pthread_mutex_unlock(&o->lock);
        deliver(o, q);
        free(q->data);
        free(q);
        pthread_mutex_lock(&o->lock);
        o->busy--;
        pthread_cond_broadcast(&o->changed);
    }
    pthread_mutex_unlock(&o->lock);
    return NULL;
}

/* FLBPluginInit gets the properties, then the flush threads start. False after an error was logged. */
bool output_start(struct output *o, const struct options *opt)
{
    int (*pre_run)(int);

    snprintf(o->ins.name, sizeof o->ins.name, "%.48s.0", o->def.name);
    o->ins.log_level = opt->log_level;
    o->tag = opt->tag;
    o->retry_pause_ms = opt->retry_pause_ms;
    for (size_t i = 0; i < opt->output_props.len; i++) {
        const struct property *p = &opt->output_props.at[i];
        if (kept_by_core(p->key)) {
            host_log(LOG_WARN, "[host] '%s' is kept by the core and does not reach the plugin", p->key);
            continue;
        }
        char *value = env_translate(p->value);
        properties_add(&o->ins.props, p->key, value);
        free(value);
    }
    o->api = (struct proxy_api){flb_output_get_property, no_input_property, no_output_metrics, no_input_metrics,
                                flb_log_print, no_input_log, flb_output_log_check, no_custom_property, no_custom_log};
    o->plugin.api = &o->api;
    o->plugin.o_ins = &o->ins;
    o->plugin.context = &o->context;
    if (o->plugin.cb_init(&o->plugin) <= 0) {
        host_log(LOG_ERROR, "[go proxy]: plugin '%s' failed to initialize", o->def.name);
        host_log(LOG_ERROR, "[output] could not initialize '%s' plugin", o->def.name);
        return false;
    }
    o->initialized = true;
    SYMBOL(o, "FLBPluginOutputPreRun", pre_run);
    if (pre_run != NULL) {
        pre_run(opt->reload > 0);
    }
    o->threads = host_alloc((size_t)opt->flush_threads * sizeof *o->threads);
    for (; o->thread_count < opt->flush_threads; o->thread_count++) {
        if (pthread_create(&o->threads[o->thread_count], NULL, flush_thread, o) != 0) {
            host_log(LOG_ERROR, "[output] could not start a flush thread");
            return false;
        }
    }
    return true;
}

void output_submit(struct output *o, unsigned char *data, size_t len)
{
    struct queued *q = host_alloc(sizeof *q);

    *q = (struct queued){NULL, data, len};
    pthread_mutex_lock(&o->lock);
    while (o->waiting >= QUEUE_MAX && !grace_over()) {
        wait_slice(o);
    }
    *o->last = q;
    o->last = &q->next;
    o->waiting++;
    pthread_cond_broadcast(&o->changed);
    pthread_mutex_unlock(&o->lock);
}

/* Ends the plugin's instance, once. Flushes may be in flight: the plugin must end them. */
static void exit_plugin(struct output *o, bool hot_reloading)
{
    void (*pre_exit)(int) = NULL;

    if (!o->initialized || o->exited) {
        return;
    }
    o->exited = true;
    SYMBOL(o, "FLBPluginOutputPreExit", pre_exit);
    if (pre_exit != NULL) {
        pre_exit(hot_reloading);
    }
    if (o->plugin.cb_exit_ctx != NULL) {
        o->plugin.cb_exit_ctx(o->context.remote_context);
    } else if (o->plugin.cb_exit != NULL) {
        o->plugin.cb_exit();
    }
}

/*
 * Waits until everything is delivered. When the grace time is over, the flush threads drop the
 * remaining chunks, and the plugin's exit is called so that a flush in flight ends too.
 */
void output_drain(struct output *o)
{
    pthread_mutex_lock(&o->lock);
    while (o->waiting + o->busy > 0) {
        wait_slice(o);
        /* The call starts the clock after a signal, even if no thread is waiting. */
        if (grace_over() && o->busy > 0 && !o->exited) {
            pthread_mutex_unlock(&o->lock);
            exit_plugin(o, false);
            pthread_mutex_lock(&o->lock);
        }
    }
    pthread_mutex_unlock(&o->lock);
}

void output_close(struct output *o, bool hot_reloading, struct output_stats *add_to)
{
    void (*unregister)(struct proxy_def *) = NULL;

    if (o == NULL) {
        return;
    }
    pthread_mutex_lock(&o->lock);
    o->closing = true;
    pthread_cond_broadcast(&o->changed);
    pthread_mutex_unlock(&o->lock);
    for (long i = 0; i < o->thread_count; i++) {
        pthread_join(o->threads[i], NULL);
    }
    exit_plugin(o, hot_reloading);
    if (o->handle != NULL) {
        SYMBOL(o, "FLBPluginUnregister", unregister);
        if (unregister != NULL && o->def.name != NULL) {
            unregister(&o->def);
        }
        dlclose(o->handle);
    }
    add_to->delivered += o->stats.delivered;
    add_to->resends += o->stats.resends;
    add_to->dropped += o->stats.dropped;
    add_to->undelivered += o->stats.undelivered;
    properties_free(&o->ins.props);
    pthread_mutex_destroy(&o->lock);
    pthread_cond_destroy(&o->changed);
    free(o->threads);
    free(o);
}
