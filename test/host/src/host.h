/*
 * fortiems-host: what its files share.
 *
 *   main.c      options, order of start and end
 *   log.c       log lines, and the flb_* functions every plugin may call
 *   plugin.c    loading and calling native filters
 *   output.c    outputs through the Go proxy, flush threads, retries
 *   pipeline.c  chunks through filter instances, printing, reload
 *   chunk.c     event chunks as in_syslog makes them
 *   input.c     lines of a file
 *   syslog.c    udp and tcp listeners
 *   json.c      msgpack to JSON lines
 *
 * Memory: running out of it ends the process, so no allocation is checked by callers.
 */
#ifndef FORTIEMS_HOST_H
#define FORTIEMS_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "abi.h"

#define EXPORT __attribute__((visibility("default")))

/* Exit statuses. */
#define STATUS_OK 0
#define STATUS_FAILED 1    /* loading, init, reading, listening */
#define STATUS_MALFORMED 2 /* the filter returned a malformed chunk */
#define STATUS_UNDELIVERED 3
#define STATUS_USAGE 64

/* Levels of flb_log_print, unchanged from 2.1 to 5.1.1. */
enum { LOG_ERROR = 1, LOG_WARN = 2, LOG_INFO = 3, LOG_DEBUG = 4 };

/* Growing byte buffer; all zero means empty. It owns data, which is malloc memory. */
struct buffer {
    unsigned char *data;
    size_t len, cap;
};
void buffer_reserve(struct buffer *b, size_t extra);
void buffer_add(struct buffer *b, const void *data, size_t len);
void buffer_text(struct buffer *b, const char *text);
void buffer_free(struct buffer *b);
void *host_alloc(size_t size); /* zeroed */
char *host_strdup(const char *s);

/* One key=value pair of the command line. */
struct property {
    char *key, *value;
};
struct properties {
    struct property *at;
    size_t len;
};
void properties_add(struct properties *p, const char *key, const char *value);
const char *properties_get(const struct properties *p, const char *key); /* any case; NULL if unset */
void properties_free(struct properties *p);

struct names {
    const char **at;
    size_t len;
};

struct options {
    const char *filter, *output, *input, *raw_chunk, *dump_chunk;
    const char *syslog_udp, *syslog_tcp, *tag;
    struct properties filter_props, output_props, extra;
    struct names keys;
    enum host_abi abi;
    int log_level;
    long chunk, threads, instances, reload, repeat, flush_threads, retry_pause_ms, grace;
    bool fixed_time, filter_help, old_form, group, octet_counting, chain, guard, daemon, quiet, stats, help;
    struct timespec time;
};

/* log.c */
void host_log(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *env_translate(const char *value); /* ${NAME} and ${NAME:-default}; malloc memory */
EXPORT void flb_log_print(int level, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* main.c: early end of the run, and its exit status. Safe from every thread. */
void status_raise(int status); /* the first one wins */
int status_now(void);
void stop_request(void);   /* after an error: take no more messages */
bool stop_at_once(void);   /* stop_request was called */
bool stop_requested(void); /* also after a signal: stop reading, but process what was read */
bool grace_over(void);     /* the time for deliveries after a signal has passed */
int stop_fd(void);         /* becomes readable at the first signal */

/* plugin.c */
EXPORT const char *flb_filter_name(struct flb_filter_instance *ins); /* alias, or fortiems.0 */
struct filter_plugin; /* a loaded object */
struct filter_plugin *filter_load(const char *path, enum host_abi abi);
void filter_unload(struct filter_plugin *p);
bool filter_check_properties(const struct filter_plugin *p, const struct properties *props);
void filter_print_help(const struct filter_plugin *p);
/* Runs cb_pre_run and cb_init; NULL after an error was logged. */
struct flb_filter_instance *filter_start(const struct filter_plugin *p, const struct properties *props, int id);
void filter_stop(struct flb_filter_instance *ins);
int filter_call(struct flb_filter_instance *ins, const void *data, size_t len, const char *tag,
                void **out, size_t *out_len);
bool abi_enter(enum host_abi abi); /* makes the symbols of that release visible */

/* output.c */
struct output;
struct output_stats {
    unsigned long delivered, resends, dropped, undelivered; /* chunks */
};
struct output *output_load(const char *path, bool hot_reloading);
bool output_start(struct output *o, const struct options *opt);
void output_submit(struct output *o, unsigned char *data, size_t len); /* takes ownership of data; waits for room */
void output_drain(struct output *o);                                   /* until delivered or grace_over */
void output_close(struct output *o, bool hot_reloading, struct output_stats *add_to);

/* chunk.c */
struct chunk {
    struct buffer bytes;
    size_t records;
    uint64_t seq;
};
void chunk_add(struct chunk *c, const struct options *opt, const void *line, size_t len);
void chunk_seal(struct chunk *c, const struct options *opt); /* call once, before filtering */

/* pipeline.c */
bool pipeline_load(const struct options *opt);
bool pipeline_start(void);
void pipeline_submit(struct chunk *c); /* takes ownership of the bytes, leaves an empty chunk */
void pipeline_finish(void);
void pipeline_print_stats(void);

/* input.c, syslog.c */
void input_lines(const struct options *opt);
void input_raw(const struct options *opt);
bool syslog_open(const struct options *opt);
void syslog_run(const struct options *opt);

/* json.c */
struct rendered {
    size_t records, markers, odd; /* log events, group markers, well-formed values that are not events */
    size_t invalid_utf8;          /* strings in which bytes were replaced */
    bool malformed;
    size_t malformed_at; /* offset of the first event that cannot be read */
};
/* Appends one JSON line per record to out, or with out NULL only checks and counts. */
struct rendered render_chunk(struct buffer *out, const unsigned char *data, size_t len);

#endif
