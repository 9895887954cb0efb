/*
 * Msgpack chunks to JSON lines. The reader checks every length against the bytes left and
 * limits nesting to the depth that Fluent Bit's own reader accepts.
 */
#include "host.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 32 /* nesting of containers: MSGPACK_EMBED_STACK_SIZE of msgpack-c */

enum kind { NIL, BOOLEAN, UNSIGNED, SIGNED, FLOAT32, FLOAT64, STR, BIN, EXT, ARRAY, MAP };

struct reader {
    const unsigned char *at, *end;
};

/* One value, or the head of an array or map; its members are read next. */
struct item {
    enum kind kind;
    uint64_t u;
    int64_t i;
    double f;
    const unsigned char *data; /* STR, BIN, EXT: inside the chunk */
    size_t len;                /* bytes of data, members of ARRAY, pairs of MAP */
    int ext_type;
};

static bool take_be(struct reader *r, int bytes, uint64_t *out)
{
    if (r->end - r->at < bytes) {
        return false;
    }
    *out = 0;
    while (bytes-- > 0) {
        *out = *out << 8 | *r->at++;
    }
    return true;
}

static bool take_data(struct reader *r, struct item *it, enum kind kind, uint64_t len)
{
    it->kind = kind;
    it->len = (size_t)len;
    it->data = r->at;
    if ((uint64_t)(r->end - r->at) < len) {
        return false;
    }
    r->at += len;
    return true;
}

/* Every member takes at least one byte, so a count beyond the bytes left is an error. */
static bool take_container(const struct reader *r, struct item *it, enum kind kind, uint64_t count)
{
    it->kind = kind;
    it->len = (size_t)count;
    return count * (kind == MAP ? 2 : 1) <= (uint64_t)(r->end - r->at);
}

static bool take_ext(struct reader *r, struct item *it, uint64_t len)
{
    uint64_t type;

    if (!take_be(r, 1, &type)) {
        return false;
    }
    it->ext_type = (int8_t)type;
    return take_data(r, it, EXT, len);
}

static bool take_number(struct reader *r, struct item *it, unsigned char head)
{
    int bytes = head <= 0xcb ? (head == 0xca ? 4 : 8) : 1 << (head & 3);
    uint64_t u;

    if (!take_be(r, bytes, &u)) {
        return false;
    }
    if (head == 0xca) {
        uint32_t bits = (uint32_t)u;
        float f;
        memcpy(&f, &bits, sizeof f);
        it->kind = FLOAT32;
        it->f = (double)f;
    } else if (head == 0xcb) {
        it->kind = FLOAT64;
        memcpy(&it->f, &u, sizeof it->f);
    } else if (head <= 0xcf) {
        it->kind = UNSIGNED;
        it->u = u;
    } else {
        int shift = 64 - 8 * bytes;
        it->kind = SIGNED;
        it->i = (int64_t)(u << shift) >> shift;
    }
    return true;
}

/* Heads 0xc4 to 0xdf. */
static bool take_sized(struct reader *r, struct item *it, unsigned char head)
{
    uint64_t len;

    if (head >= 0xca && head <= 0xd3) {
        return take_number(r, it, head);
    }
    if (head >= 0xd4 && head <= 0xd8) {
        return take_ext(r, it, (uint64_t)1 << (head - 0xd4));
    }
    if (head <= 0xc6) {
        return take_be(r, 1 << (head - 0xc4), &len) && take_data(r, it, BIN, len);
    }
    if (head <= 0xc9) {
        return take_be(r, 1 << (head - 0xc7), &len) && take_ext(r, it, len);
    }
    if (head <= 0xdb) {
        return take_be(r, 1 << (head - 0xd9), &len) && take_data(r, it, STR, len);
    }
    return take_be(r, head & 1 ? 4 : 2, &len) && take_container(r, it, head <= 0xdd ? ARRAY : MAP, len);
}

static bool take(struct reader *r, struct item *it)
{
    uint64_t head;

    if (!take_be(r, 1, &head)) {
        return false;
    }
    if (head < 0x80) {
        it->kind = UNSIGNED;
        it->u = head;
        return true;
    }
    if (head < 0x90) {
        return take_container(r, it, MAP, head & 0x0f);
    }
    if (head < 0xa0) {
        return take_container(r, it, ARRAY, head & 0x0f);
    }
    if (head < 0xc0) {
        return take_data(r, it, STR, head & 0x1f);
    }
    if (head >= 0xe0) {
        it->kind = SIGNED;
        it->i = (int8_t)head;
        return true;
    }
    if (head <= 0xc3) {
        it->kind = head == 0xc0 ? NIL : BOOLEAN;
        it->u = head & 1;
        return head != 0xc1;
    }
    return take_sized(r, it, (unsigned char)head);
}

static bool skip(struct reader *r, int depth)
{
    struct item it;

    if (!take(r, &it)) {
        return false;
    }
    if (it.kind != ARRAY && it.kind != MAP) {
        return true;
    }
    uint64_t members = (uint64_t)it.len * (it.kind == MAP ? 2 : 1);
    if (members > 0 && depth >= MAX_DEPTH) {
        return false;
    }
    while (members-- > 0) {
        if (!skip(r, depth + 1)) {
            return false;
        }
    }
    return true;
}

/*
 * Length of the UTF-8 sequence at s, or 0 if it is invalid; *bad is then the number of bytes
 * that one replacement character replaces (the maximal subpart, Unicode 15 section 3.9).
 */
static size_t utf8_sequence(const unsigned char *s, size_t len, size_t *bad)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t want;

    *bad = 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        want = 2;
    } else if (s[0] >= 0xe0 && s[0] <= 0xef) {
        want = 3;
        low = s[0] == 0xe0 ? 0xa0 : 0x80;
        high = s[0] == 0xed ? 0x9f : 0xbf;
    } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        want = 4;
        low = s[0] == 0xf0 ? 0x90 : 0x80;
        high = s[0] == 0xf4 ? 0x8f : 0xbf;
    } else {
        return 0;
    }
    for (size_t i = 1; i < want; i++) {
        if (i >= len || s[i] < low || s[i] > high) {
            *bad = i;
            return 0;
        }
        low = 0x80;
        high = 0xbf;
    }
    return want;
}

static void put_control(struct buffer *out, unsigned char c)
{
    static const char *const short_form[] = {['\b'] = "\\b", ['\f'] = "\\f", ['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t"};
    char text[8];

    if (c < sizeof short_form / sizeof *short_form && short_form[c] != NULL) {
        buffer_text(out, short_form[c]);
    } else {
        snprintf(text, sizeof text, "\\u%04x", c);
        buffer_text(out, text);
    }
}

static void put_string(struct buffer *out, const unsigned char *s, size_t len, struct rendered *sum)
{
    bool valid = true;
    size_t plain = 0; /* start of the run that is copied unchanged */

    buffer_add(out, "\"", 1);
    for (size_t i = 0; i < len;) {
        size_t bad = 0, n = 1;
        if (s[i] >= 0x80) {
            n = utf8_sequence(s + i, len - i, &bad);
        } else if (s[i] >= 0x20 && s[i] != '"' && s[i] != '\\') {
            i++;
            continue;
        }
        if (s[i] >= 0x80 && n > 0) {
            i += n;
            continue;
        }
        buffer_add(out, s + plain, i - plain);
        if (n == 0) {
            buffer_text(out, "\xef\xbf\xbd");
            valid = false;
            i += bad;
        } else if (s[i] < 0x20) {
            put_control(out, s[i++]);
        } else {
            buffer_text(out, s[i++] == '"' ? "\\\"" : "\\\\");
        }
        plain = i;
    }
    buffer_add(out, s + plain, len - plain);
    buffer_add(out, "\"", 1);
    sum->invalid_utf8 += !valid;
}

/* The fewest digits that parse to the same number, with a point to mark a float. */
static void put_float(struct buffer *out, double f, bool single)
{
    char text[40];

    if (isnan(f) || isinf(f)) {
        buffer_text(out, "null");
        return;
    }
    for (int digits = single ? 6 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, f);
        if (single ? strtof(text, NULL) == (float)f : strtod(text, NULL) == f) {
            break;
        }
    }
    if (strpbrk(text, ".e") == NULL) {
        strcat(text, ".0");
    }
    buffer_text(out, text);
}

static void put_hex(struct buffer *out, const unsigned char *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";

    buffer_add(out, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        buffer_add(out, &digits[data[i] >> 4], 1);
        buffer_add(out, &digits[data[i] & 15], 1);
    }
    buffer_add(out, "\"", 1);
}

static void put_value(struct buffer *out, struct reader *r, struct rendered *sum);

/* Keys that are not text are printed as the quoted JSON of their value. */
static void put_key(struct buffer *out, struct reader *r, struct rendered *sum)
{
    struct reader ahead = *r;
    struct item it;
    struct buffer text = {0};

    take(&ahead, &it);
    if (it.kind == STR || it.kind == BIN) {
        put_value(out, r, sum);
        return;
    }
    put_value(&text, r, sum);
    put_string(out, text.data, text.len, sum);
    buffer_free(&text);
}

/* Pairs of a map, separated by commas; duplicate keys are kept. */
static void put_pairs(struct buffer *out, struct reader *r, size_t pairs, bool first, struct rendered *sum)
{
    for (; pairs > 0; pairs--, first = false) {
        buffer_add(out, ",", first ? 0 : 1);
        put_key(out, r, sum);
        buffer_add(out, ":", 1);
        put_value(out, r, sum);
    }
}

/* skip has read the value before, so it is complete and of bounded depth. */
static void put_value(struct buffer *out, struct reader *r, struct rendered *sum)
{
    struct item it;
    char text[32];

    take(r, &it);
    switch (it.kind) {
    case NIL:
        buffer_text(out, "null");
        break;
    case BOOLEAN:
        buffer_text(out, it.u ? "true" : "false");
        break;
    case UNSIGNED:
        snprintf(text, sizeof text, "%llu", (unsigned long long)it.u);
        buffer_text(out, text);
        break;
    case SIGNED:
        snprintf(text, sizeof text, "%lld", (long long)it.i);
        buffer_text(out, text);
        break;
    case FLOAT32:
    case FLOAT64:
        put_float(out, it.f, it.kind == FLOAT32);
        break;
    case STR:
    case BIN:
        put_string(out, it.data, it.len, sum);
        break;
    case EXT:
        put_hex(out, it.data, it.len);
        break;
    case ARRAY:
        buffer_add(out, "[", 1);
        for (size_t i = 0; i < it.len; i++) {
            buffer_add(out, ",", i == 0 ? 0 : 1);
            put_value(out, r, sum);
        }
        buffer_add(out, "]", 1);
        break;
    case MAP:
        buffer_add(out, "{", 1);
        put_pairs(out, r, it.len, true, sum);
        buffer_add(out, "}", 1);
        break;
    }
}

struct event {
    uint64_t sec;
    uint32_t nsec;
    bool marker; /* start or end of a group, not a record */
    struct reader record;
};

static uint32_t be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The three kinds of timestamps of 5.1.1 flb_log_event_decoder.c. */
static bool read_time(struct reader *r, struct event *e)
{
    struct item it;

    take(r, &it);
    if (it.kind == EXT && it.ext_type == 0 && it.len == 8) {
        e->sec = be32(it.data);
        e->nsec = be32(it.data + 4);
        e->marker = e->sec >= 0xfffffffe && e->nsec == 0;
        return e->nsec < 1000000000;
    }
    if (it.kind == UNSIGNED) {
        e->sec = it.u;
        return true;
    }
    if ((it.kind == FLOAT64 || it.kind == FLOAT32) && it.f >= 0 && it.f < 1e15) {
        e->sec = (uint64_t)it.f;
        e->nsec = (uint32_t)((it.f - (double)e->sec) * 1e9);
        return true;
    }
    return false;
}

/* Reads a complete, well-formed value as an event; false if it is not an event. */
static bool read_event(struct reader r, struct event *e)
{
    struct item it;
    struct reader ahead;

    *e = (struct event){0};
    take(&r, &it);
    if (it.kind != ARRAY || it.len != 2) {
        return false;
    }
    ahead = r;
    take(&ahead, &it);
    if (it.kind == ARRAY) {
        if (it.len != 2 || !read_time(&ahead, e)) {
            return false;
        }
        struct reader metadata = ahead;
        take(&metadata, &it);
        if (it.kind != MAP) {
            return false;
        }
        skip(&ahead, 0);
    } else {
        ahead = r;
        if (!read_time(&ahead, e)) {
            return false;
        }
    }
    e->record = ahead;
    take(&ahead, &it);
    return it.kind == MAP;
}

static void put_record(struct buffer *out, const struct event *e, struct rendered *sum)
{
    struct reader r = e->record;
    struct item it;
    time_t sec = (time_t)e->sec;
    struct tm tm;
    char stamp[48], nsec[16];

    buffer_text(out, "{\"@timestamp\":");
    if (e->sec < 253402300800 && gmtime_r(&sec, &tm) != NULL) { /* RFC 3339 ends with the year 9999 */
        strftime(stamp, sizeof stamp, "\"%Y-%m-%dT%H:%M:%S.", &tm);
        snprintf(nsec, sizeof nsec, "%09uZ\"", e->nsec);
        buffer_text(out, stamp);
        buffer_text(out, nsec);
    } else {
        buffer_text(out, "null");
    }
    take(&r, &it);
    put_pairs(out, &r, it.len, false, sum);
    buffer_text(out, "}\n");
}

struct rendered render_chunk(struct buffer *out, const unsigned char *data, size_t len)
{
    struct rendered sum = {0};
    struct reader r = {data, data + len};
    struct event e;

    while (r.at < r.end) {
        struct reader start = r;
        if (!skip(&r, 0)) {
            sum.malformed = true;
            sum.malformed_at = (size_t)(start.at - data);
            break;
        }
        start.end = r.at;
        if (!read_event(start, &e)) {
            sum.odd++;
        } else if (e.marker) {
            sum.markers++;
        } else {
            sum.records++;
            if (out != NULL) {
                put_record(out, &e, &sum);
            }
        }
    }
    return sum;
}
