/*
 * The way of a chunk: through filter instances, to stdout, to the output. With one thread
 * the filter runs on the reading thread, as filters of Fluent Bit run on its engine thread.
 * With more, every thread has its own instances, like processors of threaded inputs; results
 * keep the order of the chunks.
 */
#include "host.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

struct worker {
    struct flb_filter_instance **at; /* opt->instances of them */
    size_t turn;
    pthread_t thread;
    bool started;
};

struct job {
    struct job *next;
    struct chunk chunk;
};

/* A chunk while filters work on it. owned is the malloc memory that holds data. */
struct work {
    unsigned char *data;
    size_t len;
    bool modified;
    double cpu;
    unsigned long not_touched;
};

static struct {
    const struct options *opt;
    struct filter_plugin *filter; /* NULL without --filter */
    struct output *output;        /* NULL without --output */
    struct worker *workers;
    long reloads_left;
    uint64_t next_in;

    pthread_mutex_t lock; /* guards all fields below */
    pthread_cond_t changed;
    struct job *first, **last;
    long waiting;
    bool closing, printing;
    uint64_t next_out;
    FILE *dump;
    struct rendered sum;
    unsigned long records_in, chunks, modified, not_touched, emptied;
    double filter_cpu;
    struct output_stats delivery;
} pl = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

bool pipeline_load(const struct options *opt)
{
    pl.opt = opt;
    if (opt->filter != NULL) {
        pl.filter = filter_load(opt->filter, opt->abi);
        if (pl.filter == NULL) {
            return false;
        }
    }
    if (opt->output != NULL) {
        pl.output = output_load(opt->output, false);
        if (pl.output == NULL) {
            return false;
        }
    }
    if (opt->filter_help) {
        if (pl.filter == NULL) {
            host_log(LOG_ERROR, "[host] --filter-help needs --filter");
            return false;
        }
        filter_print_help(pl.filter);
    }
    return true;
}

static bool start_instances(void)
{
    int id = 0;

    if (pl.filter == NULL) {
        return true;
    }
    for (long t = 0; t < pl.opt->threads; t++) {
        for (long i = 0; i < pl.opt->instances; i++) {
            pl.workers[t].at[i] = filter_start(pl.filter, &pl.opt->filter_props, id++);
            if (pl.workers[t].at[i] == NULL) {
                return false;
            }
        }
    }
    return true;
}

static void stop_instances(void)
{
    for (long t = 0; pl.workers != NULL && t < pl.opt->threads; t++) {
        for (long i = 0; pl.workers[t].at != NULL && i < pl.opt->instances; i++) {
            filter_stop(pl.workers[t].at[i]);
            pl.workers[t].at[i] = NULL;
        }
    }
}

/*
 * A read-only copy of the chunk that ends where unreadable memory begins, so that a filter
 * which reads past the end or writes into its input crashes at once. The mapping starts at *base.
 */
static unsigned char *guarded_copy(const unsigned char *data, size_t len, unsigned char **base, size_t *size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), body = (len + page - 1) / page * page;

    body = body == 0 ? page : body;
    *size = body + page;
    *base = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (*base == MAP_FAILED) {
        host_log(LOG_ERROR, "[host] cannot map a guarded chunk: %m");
        exit(STATUS_FAILED);
    }
    unsigned char *copy = *base + body - len;
    if (len > 0) {
        memcpy(copy, data, len);
    }
    mprotect(*base, body, PROT_READ);
    mprotect(*base + body, page, PROT_NONE);
    return copy;
}

static double thread_cpu(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* One call of cb_filter; its result is handled as in 5.1.1 flb_filter_do. */
static void filter_step(struct flb_filter_instance *ins, struct work *w)
{
    unsigned char *base = NULL, *data = w->data;
    size_t mapped = 0, out_len = 0;
    void *out = NULL;

    if (pl.opt->guard) {
        data = guarded_copy(w->data, w->len, &base, &mapped);
    }
    double before = thread_cpu();
    int answer = filter_call(ins, data, w->len, pl.opt->tag, &out, &out_len);
    w->cpu += thread_cpu() - before;
    if (base != NULL) {
        munmap(base, mapped);
    }
    if (answer != FILTER_MODIFIED) {
        if (answer != FILTER_NOTOUCH) {
            host_log(LOG_WARN, "[host] %s answered %d, taken as not touched", flb_filter_name(ins), answer);
        }
        if (out != NULL) {
            host_log(LOG_WARN, "[host] %s returned a buffer with an unmodified chunk: Fluent Bit would leak it",
                     flb_filter_name(ins));
            free(out);
        }
        w->not_touched++;
        return;
    }
    if (out == NULL && out_len > 0) {
        host_log(LOG_ERROR, "[host] %s returned no buffer, but a size of %zu", flb_filter_name(ins), out_len);
        status_raise(STATUS_MALFORMED);
        stop_request();
        out_len = 0;
    }
    free(w->data);
    w->data = out;
    w->len = out_len;
    w->modified = true;
}

static void print_lines(const struct buffer *text)
{
    for (size_t done = 0; pl.printing && done < text->len;) {
        ssize_t n = write(STDOUT_FILENO, text->data + done, text->len - done);
        if (n >= 0) {
            done += (size_t)n;
            continue;
        }
        if (errno == EINTR) {
            continue;
        }
        host_log(LOG_WARN, "[host] stdout: %m: no more records are printed");
        if (errno != EPIPE) {
            status_raise(STATUS_FAILED);
        }
        pl.printing = false;
        if (pl.output == NULL) {
            stop_request();
        }
    }
}

static void add_stats(const struct chunk *c, const struct work *w, const struct rendered *sum)
{
    pl.chunks++;
    pl.records_in += c->records;
    pl.modified += w->modified;
    pl.not_touched += w->not_touched;
    pl.emptied += w->len == 0;
    pl.filter_cpu += w->cpu;
    pl.sum.records += sum->records;
    pl.sum.markers += sum->markers;
    pl.sum.odd += sum->odd;
    pl.sum.invalid_utf8 += sum->invalid_utf8;
}

/* True if the chunk may continue. A chunk that was malformed before is not the filter's fault. */
static bool judge(const struct work *w, const struct rendered *sum)
{
    if (sum->odd > 0) {
        host_log(LOG_WARN, "[host] %zu values of a chunk are no log events and are not printed", sum->odd);
    }
    if (!sum->malformed) {
        return true;
    }
    if (!w->modified) {
        host_log(LOG_WARN, "[host] the chunk is malformed at byte %zu of %zu, as it came in", sum->malformed_at, w->len);
        return true;
    }
    host_log(LOG_ERROR, "[host] the filter returned a malformed chunk: byte %zu of %zu", sum->malformed_at, w->len);
    status_raise(STATUS_MALFORMED);
    stop_request();
    return false;
}

/* Prints, dumps and submits the result when it is its turn. Takes ownership of the data of w. */
static void emit(const struct chunk *c, struct work *w)
{
    struct buffer text = {0};
    struct rendered sum = render_chunk(pl.opt->quiet ? NULL : &text, w->data, w->len);
    bool fine = judge(w, &sum);

    pthread_mutex_lock(&pl.lock);
    while (pl.next_out != c->seq) {
        pthread_cond_wait(&pl.changed, &pl.lock);
    }
    print_lines(&text);
    if (pl.dump != NULL && (fwrite(w->data, 1, w->len, pl.dump) != w->len || fflush(pl.dump) != 0)) {
        host_log(LOG_ERROR, "[host] %s: %m", pl.opt->dump_chunk);
        status_raise(STATUS_FAILED);
    }
    add_stats(c, w, &sum);
    if (pl.output != NULL && fine && w->len > 0) {
        output_submit(pl.output, w->data, w->len);
    } else {
        free(w->data);
    }
    pl.next_out++;
    pthread_cond_broadcast(&pl.changed);
    pthread_mutex_unlock(&pl.lock);
    buffer_free(&text);
}

static void process(struct worker *worker, struct chunk *c)
{
    struct work w = {.data = c->bytes.data, .len = c->bytes.len};
    size_t count = pl.filter == NULL ? 0 : (size_t)pl.opt->instances;

    if (pl.opt->chain) {
        for (size_t i = 0; i < count && (i == 0 || w.len > 0); i++) {
            filter_step(worker->at[i], &w);
        }
    } else if (count > 0) {
        filter_step(worker->at[worker->turn++ % count], &w);
    }
    emit(c, &w);
}

static void *worker_thread(void *arg)
{
    struct worker *worker = arg;

    pthread_mutex_lock(&pl.lock);
    for (;;) {
        while (pl.first == NULL && !pl.closing) {
            pthread_cond_wait(&pl.changed, &pl.lock);
        }
        struct job *job = pl.first;
        if (job == NULL) {
            break;
        }
        pl.first = job->next;
        if (pl.first == NULL) {
            pl.last = &pl.first;
        }
        pl.waiting--;
        pthread_cond_broadcast(&pl.changed);
        pthread_mutex_unlock(&pl.lock);
        process(worker, &job->chunk);
        free(job);
        pthread_mutex_lock(&pl.lock);
    }
    pthread_mutex_unlock(&pl.lock);
    return NULL;
}

bool pipeline_start(void)
{
    const struct options *opt = pl.opt;

    pl.last = &pl.first;
    pl.printing = !opt->quiet;
    pl.reloads_left = opt->reload;
    pl.workers = host_alloc((size_t)opt->threads * sizeof *pl.workers);
    for (long t = 0; t < opt->threads; t++) {
        pl.workers[t].at = host_alloc((size_t)opt->instances * sizeof *pl.workers[t].at);
    }
    if (opt->dump_chunk != NULL && (pl.dump = fopen(opt->dump_chunk, "wb")) == NULL) {
        host_log(LOG_ERROR, "[host] %s: %m", opt->dump_chunk);
        return false;
    }
    if (pl.filter != NULL && !filter_check_properties(pl.filter, &opt->filter_props)) {
        return false;
    }
    if (!start_instances() || (pl.output != NULL && !output_start(pl.output, opt))) {
        return false;
    }
    for (long t = 0; opt->threads > 1 && t < opt->threads; t++) {
        if (pthread_create(&pl.workers[t].thread, NULL, worker_thread, &pl.workers[t]) != 0) {
            host_log(LOG_ERROR, "[host] cannot start thread %ld", t);
            return false;
        }
        pl.workers[t].started = true;
    }
    return true;
}

/* Waits until every submitted chunk has left the filters. */
static void wait_for_filters(void)
{
    pthread_mutex_lock(&pl.lock);
    while (pl.next_out < pl.next_in) {
        pthread_cond_wait(&pl.changed, &pl.lock);
    }
    pthread_mutex_unlock(&pl.lock);
}

/*
 * The order of 5.1.1 flb_reload.c: the new objects are opened, registered and their options checked
 * while the old instances still run; then these finish their work and exit; then the new ones start.
 */
static void reload(void)
{
    struct filter_plugin *filter = NULL;
    struct output *output = NULL;

    wait_for_filters();
    host_log(LOG_INFO, "[reload] loading the plugins again");
    if ((pl.filter != NULL && ((filter = filter_load(pl.opt->filter, pl.opt->abi)) == NULL ||
                               !filter_check_properties(filter, &pl.opt->filter_props))) ||
        (pl.output != NULL && (output = output_load(pl.opt->output, true)) == NULL)) {
        host_log(LOG_ERROR, "[reload] reloading is halted");
        filter_unload(filter);
        status_raise(STATUS_FAILED);
        stop_request();
        return;
    }
    host_log(LOG_INFO, "[reload] stop everything of the old context");
    if (pl.output != NULL) {
        output_drain(pl.output);
    }
    stop_instances();
    output_close(pl.output, true, &pl.delivery);
    filter_unload(pl.filter);
    pl.filter = filter;
    pl.output = output;
    host_log(LOG_INFO, "[reload] start everything");
    if (!start_instances() || (pl.output != NULL && !output_start(pl.output, pl.opt))) {
        host_log(LOG_ERROR, "[reload] reloading is aborted");
        status_raise(STATUS_FAILED);
        exit(status_now());
    }
}

static void enqueue(struct chunk *c)
{
    struct job *job = host_alloc(sizeof *job);

    job->chunk = *c;
    pthread_mutex_lock(&pl.lock);
    while (pl.waiting >= pl.opt->threads * 2) {
        pthread_cond_wait(&pl.changed, &pl.lock);
    }
    *pl.last = job;
    pl.last = &job->next;
    pl.waiting++;
    pthread_cond_broadcast(&pl.changed);
    pthread_mutex_unlock(&pl.lock);
}

void pipeline_submit(struct chunk *c)
{
    c->seq = pl.next_in++;
    if (pl.opt->threads > 1) {
        enqueue(c);
    } else {
        process(&pl.workers[0], c);
    }
    *c = (struct chunk){0};
    if (pl.reloads_left > 0) {
        pl.reloads_left--;
        reload();
    }
}

/* Waits for deliveries, then calls the exits in Fluent Bit's order: filters before outputs. */
void pipeline_finish(void)
{
    while (pl.workers != NULL && pl.reloads_left > 0 && !stop_requested()) {
        pl.reloads_left--;
        reload();
    }
    pthread_mutex_lock(&pl.lock);
    pl.closing = true;
    pthread_cond_broadcast(&pl.changed);
    pthread_mutex_unlock(&pl.lock);
    for (long t = 0; pl.workers != NULL && t < pl.opt->threads; t++) {
        if (pl.workers[t].started) {
            pthread_join(pl.workers[t].thread, NULL);
        }
    }
    if (pl.output != NULL) {
        output_drain(pl.output);
    }
    stop_instances();
    output_close(pl.output, false, &pl.delivery);
    filter_unload(pl.filter);
    if (pl.dump != NULL) {
        fclose(pl.dump);
    }
    for (long t = 0; pl.workers != NULL && t < pl.opt->threads; t++) {
        free(pl.workers[t].at);
    }
    free(pl.workers);
}

/* One line of key=value pairs, for people and for tests. */
void pipeline_print_stats(void)
{
    struct rusage use;

    if (pl.opt == NULL) { /* nothing was loaded */
        return;
    }
    getrusage(RUSAGE_SELF, &use);
    fprintf(stderr,
            "stats: records_in=%lu records_out=%zu group_markers=%zu not_events=%zu chunks=%lu modified=%lu "
            "not_touched=%lu emptied=%lu filter_cpu_seconds=%.6f process_cpu_seconds=%.3f max_rss_kib=%ld "
            "delivered=%lu resends=%lu dropped=%lu undelivered=%lu",
            pl.records_in, pl.sum.records, pl.sum.markers, pl.sum.odd, pl.chunks, pl.modified, pl.not_touched,
            pl.emptied, pl.filter_cpu,
            (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
                (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6,
            use.ru_maxrss, pl.delivery.delivered, pl.delivery.resends, pl.delivery.dropped, pl.delivery.undelivered);
    if (!pl.opt->quiet) { /* strings are only checked when they are printed */
        fprintf(stderr, " invalid_utf8=%zu", pl.sum.invalid_utf8);
    }
    fputc('\n', stderr);
}
