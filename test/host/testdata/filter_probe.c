/*
 * Filter for the tests of the stand-in host. It has its own declarations of the binary interface,
 * so that a mistake in the declarations of the host is found.
 *
 *   mode=upper    raw line in capitals          mode=cut      result one byte short
 *   mode=drop     empty result                  mode=garbage  result that is no msgpack
 *   mode=notouch  chunk left alone              mode=null     size without a buffer
 *   mode=leak     not touched, but a buffer     mode=answer   an answer that does not exist
 *   mode=who      one record: instance, tag, size, calls so far
 *   mode=read     reads a byte past the end     mode=write    writes into the input
 *   init=fail, prerun=fail; context=none sets no context
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef NAME
#define NAME filter_probe_plugin
#endif
#ifndef TRAIL
#define TRAIL 4 /* pointers after cb_exit: a notification callback, a list link, and one to spare */
#endif

struct entry_old {
    int type;
    const char *name, *def;
    int flags, set;
    uintptr_t offset;
    const char *desc;
    void *rest[1 + 1 + 2 + 2];
};
struct entry_new {
    int type;
    const char *name, *def;
    int flags, set;
    uintptr_t offset;
    const char *desc;
    void *rest[1 + 1 + 1 + 2 + 2];
};

#define OPTIONS                                                                          \
    {0, "mode", "notouch", 0, 0, 0, "what becomes of a chunk", {0}},                     \
        {0, "init", NULL, 0, 0, 0, "fail", {0}}, {0, "prerun", NULL, 0, 0, 0, "fail", {0}}, \
        {0, "context", NULL, 0, 0, 0, "none", {0}},                                      \
        {2, "number", "7", 0, 0, 0,                                                      \
         "a description that is so long that it has to be folded because it is wider than the ninety columns allow", {0}}, \
        {30, "list", "a,b", 1, 0, 0, "may be repeated", {0}}, {0, NULL, NULL, 0, 0, 0, NULL, {0}}

static struct entry_old options_old[] = {OPTIONS};
static struct entry_new options_new[] = {OPTIONS};

struct state {
    char mode[16], name[32];
    int calls;
};

static const char *(*get_property)(const char *, void *);
static void (*set_context)(void *, void *);
static const char *(*get_name)(void *);
static void (*log_print)(int, const char *, int, const char *, ...);
static int opened_by;

static int pre_run(void *ins, void *config, void *data)
{
    const char *v = get_property("prerun", ins);

    (void)config;
    (void)data;
    log_print(3, __FILE__, __LINE__, "[probe] pre_run %s", get_name(ins));
    return v != NULL && strcmp(v, "fail") == 0 ? -1 : 0;
}

static int init(void *ins, void *config, void *data)
{
    const char *mode = get_property("mode", ins), *fail = get_property("init", ins);
    const char *list = get_property("LIST", ins), *none = get_property("context", ins);
    struct state *st;

    (void)data;
    log_print(3, __FILE__, __LINE__, "[probe] init %s mode=%s list=%s number=%s config=%s forked=%s raw=%s", get_name(ins),
              mode ? mode : "(unset)", list ? list : "(unset)",
              get_property("number", ins) ? "set" : "(unset)", config ? "yes" : "no",
              opened_by == getpid() ? "no" : "yes",
              dlsym(RTLD_DEFAULT, "flb_config_map_get_raw") ? "visible" : "hidden");
    if (fail != NULL && strcmp(fail, "fail") == 0) {
        return -1;
    }
    if (none == NULL) {
        st = calloc(1, sizeof *st);
        snprintf(st->mode, sizeof st->mode, "%s", mode ? mode : "notouch");
        snprintf(st->name, sizeof st->name, "%s", get_name(ins));
        set_context(ins, st);
    }
    return 0;
}

/* Converts the raw line of every event to upper case; -1 for an event of another form. */
static int upper(unsigned char *p, size_t len)
{
    static const unsigned char key[] = {0x81, 0xa3, 'l', 'o', 'g'};
    size_t at = 0;

    while (at < len) {
        size_t n, bytes;
        if (len - at < 24 || memcmp(p + at, "\x92\x92\xd7", 3) != 0 || memcmp(p + at + 17, key, sizeof key) != 0) {
            return -1;
        }
        at += 22;
        bytes = (size_t)1 << (p[at] - 0xc4);
        for (n = 0, at++; bytes > 0; bytes--) {
            n = n << 8 | p[at++];
        }
        for (; n > 0; n--, at++) {
            p[at] = (unsigned char)toupper(p[at]);
        }
    }
    return 0;
}

static int text(unsigned char *at, const char *s)
{
    at[0] = 0xd9;
    at[1] = (unsigned char)strlen(s);
    memcpy(at + 2, s, strlen(s));
    return (int)strlen(s) + 2;
}

static int who(struct state *st, size_t bytes, const char *tag, int tag_len, void **out, size_t *size)
{
    static const unsigned char head[] = {0x92, 0x92, 0xd7, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0x80, 0x81, 0xa3, 'w', 'h', 'o'};
    char line[160];
    unsigned char *p = malloc(256);

    snprintf(line, sizeof line, "%s %.*s %zu %d", st->name, tag_len, tag, bytes, ++st->calls);
    memcpy(p, head, sizeof head);
    *size = sizeof head + (size_t)text(p + sizeof head, line);
    *out = p;
    return 1;
}

static int filter(const void *data, size_t bytes, const char *tag, int tag_len, void **out, size_t *size, void *f_ins,
                  void *i_ins, void *context, void *config)
{
    struct state *st = context;
    unsigned char *copy;

    if (f_ins == NULL || i_ins == NULL || config == NULL || tag[tag_len] != '\0') {
        abort();
    }
    if (st == NULL || strcmp(st->mode, "notouch") == 0) {
        return 2;
    }
    if (strcmp(st->mode, "read") == 0) {
        return ((volatile const char *)data)[bytes] == 1 ? 2 : 2;
    }
    if (strcmp(st->mode, "write") == 0) {
        ((volatile char *)data)[bytes - 1] = 0;
        return 2;
    }
    if (strcmp(st->mode, "drop") == 0 || strcmp(st->mode, "null") == 0) {
        *size = st->mode[0] == 'd' ? 0 : 12;
        return 1;
    }
    if (strcmp(st->mode, "who") == 0) {
        return who(st, bytes, tag, tag_len, out, size);
    }
    if (strcmp(st->mode, "answer") == 0) {
        return 7;
    }
    copy = malloc(bytes + 1);
    memcpy(copy, data, bytes);
    *out = copy;
    *size = bytes;
    if (strcmp(st->mode, "leak") == 0) {
        return 2;
    }
    if (strcmp(st->mode, "cut") == 0) {
        --*size;
    } else if (strcmp(st->mode, "garbage") == 0) {
        memset(copy, 0xc1, bytes);
    } else if (strcmp(st->mode, "upper") != 0 || upper(copy, bytes) != 0) {
        free(copy);
        *out = NULL;
        return 2;
    }
    return 1;
}

static int leave(void *context, void *config)
{
    struct state *st = context;

    (void)config;
    log_print(3, __FILE__, __LINE__, "[probe] exit %s", st->name);
    free(st);
    return 0;
}

/* Registration as a plugin written for 2.2 to 5.1 lays it out; what follows cb_exit differs and is zero. */
struct registration {
    int event_type, flags;
    const char *name, *description;
    void *config_map;
    int (*pre_run)(void *, void *, void *);
    int (*init)(void *, void *, void *);
    int (*filter)(const void *, size_t, const char *, int, void **, size_t *, void *, void *, void *, void *);
    int (*leave)(void *, void *);
    void *trail[TRAIL];
};
__attribute__((visibility("default"))) struct registration NAME = {
    0, 0, "probe", "Filter for tests", NULL, pre_run, init, filter, leave, {0}};

__attribute__((constructor)) static void choose_layout(void)
{
    int new_layout = dlsym(RTLD_DEFAULT, "flb_config_map_get_raw") != NULL;

#ifdef WRONG_LAYOUT
    new_layout = !new_layout;
#endif
    opened_by = getpid();
    NAME.config_map = new_layout ? (void *)options_new : (void *)options_old;
    *(void **)&get_property = dlsym(RTLD_DEFAULT, "flb_filter_get_property");
    *(void **)&set_context = dlsym(RTLD_DEFAULT, "flb_filter_set_context");
    *(void **)&get_name = dlsym(RTLD_DEFAULT, "flb_filter_name");
    *(void **)&log_print = dlsym(RTLD_DEFAULT, "flb_log_print");
}
