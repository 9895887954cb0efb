/*
 * Event chunks as in_syslog makes them (5.1.1 in_syslog/syslog_prot.c and flb_log_event_encoder.c):
 * [[time, metadata], record] with the time as ext type 0, the metadata as an empty map32 and the
 * record as a map of the raw line and the extra pairs. The older form is [time, record].
 */
#include "host.h"

#include <string.h>

static void add_be(struct buffer *b, uint64_t value, int bytes)
{
    unsigned char out[8];

    for (int i = 0; i < bytes; i++) {
        out[i] = (unsigned char)(value >> (8 * (bytes - 1 - i)));
    }
    buffer_add(b, out, (size_t)bytes);
}

static void add_str(struct buffer *b, const void *data, size_t len)
{
    if (len < 32) {
        add_be(b, 0xa0 | len, 1);
    } else if (len < 256) {
        add_be(b, 0xd9, 1);
        add_be(b, len, 1);
    } else if (len < 65536) {
        add_be(b, 0xda, 1);
        add_be(b, len, 2);
    } else {
        add_be(b, 0xdb, 1);
        add_be(b, len, 4);
    }
    buffer_add(b, data, len);
}

static void add_bin(struct buffer *b, const void *data, size_t len)
{
    if (len < 256) {
        add_be(b, 0xc4, 1);
        add_be(b, len, 1);
    } else if (len < 65536) {
        add_be(b, 0xc5, 1);
        add_be(b, len, 2);
    } else {
        add_be(b, 0xc6, 1);
        add_be(b, len, 4);
    }
    buffer_add(b, data, len);
}

static void add_text(struct buffer *b, const char *text)
{
    add_str(b, text, strlen(text));
}

static void add_map(struct buffer *b, size_t pairs)
{
    if (pairs < 16) {
        add_be(b, 0x80 | pairs, 1);
    } else {
        add_be(b, 0xde, 1);
        add_be(b, pairs, 2);
    }
}

/* Everything of an event before its record. Fluent Bit patches map sizes afterwards, hence map32. */
static void add_head(struct buffer *b, bool old_form, uint32_t sec, uint32_t nsec, uint32_t metadata)
{
    buffer_add(b, old_form ? "\x92" : "\x92\x92", old_form ? 1 : 2);
    buffer_add(b, "\xd7\x00", 2);
    add_be(b, sec, 4);
    add_be(b, nsec, 4);
    if (!old_form) {
        add_be(b, 0xdf, 1);
        add_be(b, metadata, 4);
    }
}

/*
 * A group opens with the time -1 and closes with -2, both as unsigned seconds (5.1.1
 * flb_log_event_encoder_group_init and _end); metadata and record are as in_opentelemetry fills them.
 */
static void open_group(struct buffer *b)
{
    add_head(b, false, 0xffffffff, 0, 3);
    add_text(b, "schema");
    add_text(b, "otlp");
    add_text(b, "resource_id");
    add_be(b, 0, 1);
    add_text(b, "scope_id");
    add_be(b, 0, 1);
    add_be(b, 0xdf, 1);
    add_be(b, 1, 4);
    add_text(b, "resource");
    add_map(b, 1);
    add_text(b, "attributes");
    add_map(b, 1);
    add_text(b, "service.name");
    add_text(b, "fortiems-host");
}

static void close_group(struct buffer *b)
{
    add_head(b, false, 0xfffffffe, 0, 0);
    add_be(b, 0xdf, 1);
    add_be(b, 0, 4);
}

/* line may hold any bytes; a key named log carries it as bin, as raw_message_key does, any other as str. */
void chunk_add(struct chunk *c, const struct options *opt, const void *line, size_t len)
{
    struct timespec now = opt->time;
    struct buffer *b = &c->bytes;

    if (!opt->fixed_time) {
        clock_gettime(CLOCK_REALTIME, &now);
    }
    if (opt->group && c->records == 0) {
        open_group(b);
    }
    add_head(b, opt->old_form, (uint32_t)now.tv_sec, (uint32_t)now.tv_nsec, 0);
    add_map(b, opt->keys.len + opt->extra.len);
    for (size_t i = 0; i < opt->keys.len; i++) {
        add_text(b, opt->keys.at[i]);
        if (strcmp(opt->keys.at[i], "log") == 0) {
            add_bin(b, line, len);
        } else {
            add_str(b, line, len);
        }
    }
    for (size_t i = 0; i < opt->extra.len; i++) {
        add_text(b, opt->extra.at[i].key);
        add_text(b, opt->extra.at[i].value);
    }
    c->records++;
}

void chunk_seal(struct chunk *c, const struct options *opt)
{
    if (opt->group && c->records > 0) {
        close_group(&c->bytes);
    }
}
