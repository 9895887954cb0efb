/*
 * Output for the tests of the stand-in host, with the C functions a Go output exports.
 *
 *   file=PATH     every flush appends a line: tag, a space, the bytes as hex digits
 *   retries=N     the first N flushes are answered with FLB_RETRY
 *   answer=N      all later ones with N (default 1, FLB_OK)
 *   together=N    a flush waits, at most 10 s, until N of them run at once or the instance exits
 *   init=fail
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct def {
    int type, proxy, flags;
    char *name, *description;
};
struct api { /* as far as fluent-bit-go knows it, and the log function */
    char *(*output_get_property)(char *, void *);
    void *unused[3];
    void (*log_print)(int, const char *, int, const char *, ...);
    void *unused2;
    int (*log_check)(void *, int);
};
struct plugin {
    void *name;
    struct api *api;
    void *instance;
    struct {
        void *remote_context;
    } *context;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static char path[4096];
static int retries, answer = 1, together, running, most, instances, exited;

static void note(const char *what, int number)
{
    fprintf(stderr, "[out_probe] %s %d\n", what, number);
}

int FLBPluginPreRegister(int hot_reloading)
{
    note("pre_register", hot_reloading);
    return 0;
}

int FLBPluginRegister(struct def *def)
{
    note("register", 0);
    def->type = 2;
    def->proxy = 11;
    def->name = strdup("out_probe");
    def->description = strdup("Output for tests");
    return 0;
}

int FLBPluginUnregister(struct def *def)
{
    note("unregister", 0);
    free(def->name);
    free(def->description);
    return 0;
}

static int number(struct plugin *p, char *key, int otherwise)
{
    const char *v = p->api->output_get_property(key, p->instance);

    return v != NULL ? atoi(v) : otherwise;
}

int FLBPluginInit(struct plugin *p)
{
    const char *v = p->api->output_get_property("init", p->instance);

    if (v != NULL && strcmp(v, "fail") == 0) {
        return 0;
    }
    v = p->api->output_get_property("FILE", p->instance);
    snprintf(path, sizeof path, "%s", v != NULL ? v : "");
    retries = number(p, "retries", 0);
    answer = number(p, "answer", 1);
    together = number(p, "together", 1);
    exited = 0;
    p->context->remote_context = malloc(sizeof(int));
    *(int *)p->context->remote_context = ++instances;
    p->api->log_print(3, __FILE__, __LINE__, "[out_probe] init %d host=%s debug=%d", instances,
                      p->api->output_get_property("host", p->instance) ? "seen" : "(unset)",
                      p->api->log_check(p->instance, 4));
    return 1;
}

int FLBPluginOutputPreRun(int hot_reload)
{
    note("pre_run", hot_reload);
    return 0;
}

/* Under the lock. */
static void wait_for_others(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    running++;
    most = running > most ? running : most;
    pthread_cond_broadcast(&changed);
    if (most < together) {
        note("flush waits for", together);
    }
    while (most < together && !exited && pthread_cond_timedwait(&changed, &lock, &until) == 0) {
    }
    running--;
    if (exited) {
        note("flush ended by exit of", exited);
    }
}

int FLBPluginFlushCtx(void *context, const void *data, size_t size, char *tag)
{
    FILE *f;
    int result, instance;

    pthread_mutex_lock(&lock);
    instance = *(int *)context; /* invalid after an exit */
    wait_for_others();
    f = path[0] != '\0' ? fopen(path, "a") : NULL;
    if (f != NULL) {
        fprintf(f, "%s ", tag);
        for (size_t i = 0; i < size; i++) {
            fprintf(f, "%02x", ((const unsigned char *)data)[i]);
        }
        fputc('\n', f);
        fclose(f);
    }
    result = instance != instances ? 0 : retries > 0 ? 2 : answer;
    retries -= retries > 0;
    pthread_mutex_unlock(&lock);
    tag[0] = 'X'; /* a copy for this flush: the next one must get the right tag */
    return result;
}

int FLBPluginOutputPreExit(int hot_reloading)
{
    note("pre_exit", hot_reloading);
    return 0;
}

int FLBPluginExitCtx(void *context)
{
    note("exit", *(int *)context);
    note("most at once", most);
    pthread_mutex_lock(&lock);
    exited = *(int *)context;
    free(context);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return 1;
}
