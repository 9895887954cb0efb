/*
 * Native filters: an object whose file name starts with flb- is opened, its
 * registration structure is copied as the imitated release copies it, and its
 * options are checked against its config map (5.1.1 flb_plugin.c, flb_filter.c,
 * flb_config_map.c).
 */
#include "host.h"

#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#define PREFIX "flb-"
#define SUFFIX ".so"
#define MAX_OPTIONS 512 /* a longer config map has no end mark */

struct filter_plugin {
    void *handle;
    enum host_abi abi;
    struct filter_plugin_3_2 def; /* cb_notification stays NULL for 2.2 */
};

struct flb_filter_instance {
    char name[64]; /* "fortiems.0" */
    char *alias;
    struct properties props; /* without those that the core consumes */
    void *context;
    const struct filter_plugin *plugin;
};

/*
 * The configuration of the host. Plugins must treat it as opaque; zeroes keep a plugin
 * that reads the first bytes from crashing.
 */
static char opaque_config[8192];
static char opaque_input[4096];

/* The object of abi_since_5_0_3.c, put into this executable by the assembler. */
__asm__(".pushsection .rodata\n"
        ".balign 16\n"
        "abi_object:\n"
        ".incbin \"" ABI_OBJECT "\"\n"
        "abi_object_end:\n"
        ".popsection\n");
extern const unsigned char abi_object[] __attribute__((visibility("hidden")));
extern const unsigned char abi_object_end[] __attribute__((visibility("hidden")));

bool abi_enter(enum host_abi abi)
{
    if (abi != ABI_5_1_1) {
        return true;
    }
    char path[64];
    size_t len = (size_t)(abi_object_end - abi_object);
    int fd = memfd_create("fortiems-host-abi", MFD_CLOEXEC);

    if (fd < 0 || write(fd, abi_object, len) != (ssize_t)len) {
        host_log(LOG_ERROR, "[host] cannot unpack the symbols of this release: %m");
        return false;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    void *handle = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    close(fd);
    if (handle == NULL || dlsym(RTLD_DEFAULT, "flb_config_map_get_raw") == NULL) {
        host_log(LOG_ERROR, "[host] cannot show the symbols of this release: %s", dlerror());
        return false;
    }
    return true;
}

/* Functions of the flb_filter_* family that the fluent-bit binary exports. */
EXPORT const char *flb_filter_get_property(const char *key, struct flb_filter_instance *ins);
EXPORT int flb_filter_set_property(struct flb_filter_instance *ins, const char *key, const char *value);
EXPORT void flb_filter_set_context(struct flb_filter_instance *ins, void *context);

/* Text as set by the user, NULL if unset: defaults of the config map are not seen here. Owned by the instance. */
EXPORT const char *flb_filter_get_property(const char *key, struct flb_filter_instance *ins)
{
    return properties_get(&ins->props, key);
}

/* The core consumes these, so they never reach the plugin (5.1.1 flb_filter_set_property). */
static bool kept_by_core(const char *key)
{
    static const char *const kept[] = {"match", "match_regex", "log_level", "log_suppress_interval"};

    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        if (strcasecmp(key, kept[i]) == 0) {
            return true;
        }
    }
    return false;
}

EXPORT int flb_filter_set_property(struct flb_filter_instance *ins, const char *key, const char *value)
{
    if (value == NULL) {
        return -1;
    }
    char *text = env_translate(value);
    if (strcasecmp(key, "alias") == 0) {
        free(ins->alias);
        ins->alias = text;
        return 0;
    }
    if (!kept_by_core(key)) {
        properties_add(&ins->props, key, text);
    }
    free(text);
    return 0;
}

EXPORT void flb_filter_set_context(struct flb_filter_instance *ins, void *context)
{
    ins->context = context;
}

EXPORT const char *flb_filter_name(struct flb_filter_instance *ins)
{
    return ins->alias != NULL ? ins->alias : ins->name;
}

static bool ends_with(const char *text, const char *end)
{
    size_t a = strlen(text), b = strlen(end);

    return a >= b && strcmp(text + a - b, end) == 0;
}

/* Name of the registration structure an object of this path must have, in malloc memory; NULL if none fits. */
static char *structure_name(const char *path)
{
    char *copy = host_strdup(path), *name = NULL;
    const char *base = basename(copy);

    if (strncmp(base, PREFIX, strlen(PREFIX)) != 0) {
        host_log(LOG_ERROR, "[plugin] invalid plugin prefix: %s", base);
    } else if (!ends_with(base, SUFFIX)) {
        host_log(LOG_ERROR, "[plugin] invalid plugin extension: %s", base);
    } else if (strncmp(base + strlen(PREFIX), "filter_", 7) != 0) {
        host_log(LOG_ERROR, "[plugin] not a filter: %s", base);
    } else {
        int len = (int)(strlen(base) - strlen(PREFIX) - strlen(SUFFIX));
        if (asprintf(&name, "%.*s_plugin", len, base + strlen(PREFIX)) < 0) {
            name = NULL;
        }
    }
    free(copy);
    return name;
}

/*
 * Copies as many bytes as the imitated release copies. The release does not know the size of
 * the plugin's structure and would read past its end; here that is an error.
 */
static bool copy_structure(struct filter_plugin *p, const void *symbol, const char *name)
{
    size_t want = p->abi == ABI_2_2 ? sizeof(struct filter_plugin_2_2) : sizeof(struct filter_plugin_3_2);
    Dl_info info;
    const ElfW(Sym) *entry = NULL;

    if (dladdr1(symbol, &info, (void **)&entry, RTLD_DL_SYMENT) != 0 && entry != NULL && entry->st_size < want) {
        host_log(LOG_ERROR, "[plugin] '%s' has %zu bytes, this release copies %zu", name, (size_t)entry->st_size, want);
        return false;
    }
    if (p->abi == ABI_2_2) {
        struct filter_plugin_2_2 old;
        memcpy(&old, symbol, sizeof old);
        memcpy(&p->def, &old, offsetof(struct filter_plugin_2_2, head));
    } else {
        memcpy(&p->def, symbol, sizeof p->def);
    }
    if (p->def.name == NULL || p->def.cb_filter == NULL) {
        host_log(LOG_ERROR, "[plugin] '%s' has no name or no filter callback", name);
        return false;
    }
    return true;
}

struct filter_plugin *filter_load(const char *path, enum host_abi abi)
{
    struct filter_plugin *p = host_alloc(sizeof *p);
    char *name = NULL;

    p->abi = abi;
    p->handle = dlopen(path, RTLD_LAZY);
    if (p->handle == NULL) {
        host_log(LOG_ERROR, "[plugin] dlopen() %s", dlerror());
    } else if ((name = structure_name(path)) != NULL) {
        const void *symbol = dlsym(p->handle, name);
        if (symbol == NULL) {
            host_log(LOG_ERROR, "[plugin] cannot load plugin '%s', registration structure is missing '%s'", path, name);
        } else if (copy_structure(p, symbol, name)) {
            free(name);
            return p;
        }
    }
    host_log(LOG_ERROR, "[plugin] error loading DSO C plugin: %s", path);
    free(name);
    filter_unload(p);
    return NULL;
}

void filter_unload(struct filter_plugin *p)
{
    if (p != NULL && p->handle != NULL) {
        dlclose(p->handle);
    }
    free(p);
}

static bool known_type(int type)
{
    return (type >= MAP_STR && type <= MAP_DEPRECATED) || (type >= MAP_CLIST && type <= MAP_CLIST + 4) ||
           (type >= MAP_SLIST && type <= MAP_SLIST + 4) || type == MAP_VARIANT;
}

/*
 * Entry i of the plugin's options with the stride of the imitated release, NULL after the last.
 * An entry whose type does not exist, or an end that is half an entry, means the plugin laid its array
 * out for another release: it is reported and not read, because its pointers would be invalid.
 */
static const struct config_map_head *option_at(const struct filter_plugin *p, size_t i)
{
    size_t stride = p->abi == ABI_5_1_1 ? sizeof(struct config_map_5_0_3) : sizeof(struct config_map_5_0_2);

    if (p->def.config_map == NULL) {
        return NULL;
    }
    const struct config_map_head *m = (const void *)((const char *)p->def.config_map + i * stride);
    bool false_end = m->name == NULL && (m->def_value != NULL || m->desc != NULL);
    if (i >= MAX_OPTIONS || !known_type(m->type) || false_end) {
        host_log(LOG_ERROR, "[config] entry %zu of the config map makes no sense: laid out for another release", i);
        exit(STATUS_FAILED);
    }
    return m->name == NULL ? NULL : m;
}

/* The message of 5.1.1 flb_config_map.c, word for word, because users search for it. */
static void report_unknown(const struct filter_plugin *p, const char *key)
{
    struct buffer text = {0};

    for (size_t i = 0; option_at(p, i) != NULL; i++) {
        bool last = option_at(p, i + 1) == NULL;
        buffer_text(&text, last && i > 0 ? "and " : "");
        buffer_text(&text, option_at(p, i)->name);
        buffer_text(&text, last ? "." : ", ");
    }
    buffer_add(&text, "", 1);
    host_log(LOG_ERROR, "[config] %s: unknown configuration property '%s'. The following properties are allowed: %s",
             p->def.name, key, (char *)text.data);
    host_log(6, "try the command: fortiems-host --filter ... --filter-help");
    buffer_free(&text);
}

static const struct config_map_head *option_find(const struct filter_plugin *p, const char *key)
{
    const struct config_map_head *m;

    for (size_t i = 0; (m = option_at(p, i)) != NULL; i++) {
        size_t len = strlen(m->name);
        if (m->type == MAP_STR_PREFIX ? strlen(key) > len && strncasecmp(key, m->name, len) == 0
                                      : strcasecmp(key, m->name) == 0) {
            return m;
        }
    }
    return NULL;
}

bool filter_check_properties(const struct filter_plugin *p, const struct properties *props)
{
    for (size_t i = 0; p->def.config_map != NULL && i < props->len; i++) {
        const char *key = props->at[i].key;
        if (kept_by_core(key) || strcasecmp(key, "alias") == 0 || strcasecmp(key, "active") == 0 ||
            strcasecmp(key, "condition") == 0) {
            continue;
        }
        const struct config_map_head *m = option_find(p, key);
        if (m == NULL) {
            report_unknown(p, key);
            return false;
        }
        int count = 0;
        for (size_t k = 0; k < props->len; k++) {
            count += strcmp(props->at[k].key, key) == 0;
        }
        if (count > 1 && (m->flags & MAP_FLAG_MULT) == 0) {
            host_log(LOG_ERROR, "[config] %s: configuration property '%s' is set %i times", p->def.name, key, count);
            return false;
        }
        if (m->type == MAP_DEPRECATED) {
            host_log(LOG_WARN, "[config] %s: '%s' is deprecated", p->def.name, key);
        }
    }
    return true;
}

/* Words of 5.1.1 flb_help.c. */
static void print_type(int type)
{
    static const char *const plain[] = {"string", "prefixed string", "integer", "boolean",
                                        "double", "size",            "time",    "deprecated"};

    if (type <= MAP_DEPRECATED) {
        printf("%s\n\n", plain[type]);
    } else if (type == MAP_VARIANT) {
        printf("variant\n\n");
    } else {
        const char *by = type < MAP_SLIST ? "comma" : "space";
        int least = type % 10;
        if (least == 0) {
            printf("multiple %s delimited strings\n\n", by);
        } else {
            printf("%s delimited strings (minimum %i)\n\n", by, least);
        }
    }
}

/* Folds a description at the last space that keeps the line within 90 columns. */
static void print_folded(const char *text, int indent)
{
    size_t room = indent < 60 ? (size_t)(90 - indent) : 30;

    while (strlen(text) > room) {
        size_t cut = room;
        while (cut > 0 && text[cut] != ' ') {
            cut--;
        }
        if (cut == 0) {
            break;
        }
        printf("%.*s\n%*s", (int)cut, text, indent, "");
        text += cut + 1;
    }
    printf("%s\n", text);
}

void filter_print_help(const struct filter_plugin *p)
{
    const struct config_map_head *m;
    int width = 0;

    printf("HELP\n%s filter plugin\n", p->def.name);
    if (p->def.description != NULL) {
        printf("\nDESCRIPTION\n%s\n", p->def.description);
    }
    for (size_t i = 0; (m = option_at(p, i)) != NULL; i++) {
        width = (int)strlen(m->name) > width ? (int)strlen(m->name) : width;
    }
    width += 2;
    printf("\nOPTIONS\n");
    for (size_t i = 0; (m = option_at(p, i)) != NULL; i++) {
        printf("%-*s", width, m->name);
        print_folded(m->desc != NULL ? m->desc : "no description available", width);
        if (m->def_value != NULL) {
            printf("%*s> default: %s, type: ", width, " ", m->def_value);
        } else {
            printf("%*s> type: ", width, " ");
        }
        print_type(m->type);
    }
    fflush(stdout);
}

static void instance_free(struct flb_filter_instance *ins)
{
    properties_free(&ins->props);
    free(ins->alias);
    free(ins);
}

struct flb_filter_instance *filter_start(const struct filter_plugin *p, const struct properties *props, int id)
{
    struct flb_filter_instance *ins = host_alloc(sizeof *ins);
    struct flb_config *config = (struct flb_config *)opaque_config;

    snprintf(ins->name, sizeof ins->name, "%.48s.%i", p->def.name, id);
    ins->plugin = p;
    for (size_t i = 0; i < props->len; i++) {
        flb_filter_set_property(ins, props->at[i].key, props->at[i].value);
    }
    if (p->def.cb_pre_run != NULL && p->def.cb_pre_run(ins, config, NULL) != 0) {
        host_log(LOG_ERROR, "Failed pre_run callback on filter %s", ins->name);
    } else if (p->def.cb_init != NULL && p->def.cb_init(ins, config, NULL) != 0) {
        host_log(LOG_ERROR, "Failed initialize filter %s", ins->name);
    } else {
        return ins;
    }
    instance_free(ins); /* cb_exit is not called after a failed init (5.1.1 flb_filter_init_all) */
    return NULL;
}

void filter_stop(struct flb_filter_instance *ins)
{
    if (ins == NULL) {
        return;
    }
    if (ins->plugin->def.cb_exit != NULL && ins->context != NULL) {
        ins->plugin->def.cb_exit(ins->context, (struct flb_config *)opaque_config);
    }
    instance_free(ins);
}

int filter_call(struct flb_filter_instance *ins, const void *data, size_t len, const char *tag,
                void **out, size_t *out_len)
{
    return ins->plugin->def.cb_filter(data, len, tag, (int)strlen(tag), out, out_len, ins,
                                      (struct flb_input_instance *)opaque_input, ins->context,
                                      (struct flb_config *)opaque_config);
}
