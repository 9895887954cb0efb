/*
 * What this object relies on in the binary interface of Fluent Bit. Nothing here
 * comes from Fluent Bit's headers: one object serves all versions, so every fact
 * carries the versions it was checked for. "2.2.0 to 5.1.1" means every release
 * tag in that range.
 */
#ifndef FTNT_ABI_H
#define FTNT_ABI_H

#include <stddef.h>
#include <stdint.h>

#define FTNT_HIDDEN __attribute__((visibility("hidden")))
#define FTNT_EXPORT __attribute__((visibility("default")))

/* Results of cb_filter: include/fluent-bit/flb_filter.h, 2.2.0 to 5.1.1. */
#define FTNT_FILTER_MODIFIED 1
#define FTNT_FILTER_NOTOUCH  2

/* Results of the Go proxy: src/flb_plugin_proxy.c, 2.2.0 to 5.1.1. */
#define FTNT_PROXY_ERROR 0
#define FTNT_PROXY_OK    1
#define FTNT_PROXY_RETRY 2

/* Log levels: include/fluent-bit/flb_log.h, 2.2.0 to 5.1.1. */
#define FTNT_LOG_ERROR 1
#define FTNT_LOG_WARN  2
#define FTNT_LOG_INFO  3
#define FTNT_LOG_DEBUG 4

/* Option types: include/fluent-bit/flb_config_map.h, 2.2.0 to 5.1.1. */
#define FTNT_OPT_STR   0
#define FTNT_OPT_INT   2
#define FTNT_OPT_BOOL  3
#define FTNT_OPT_SIZE  5
#define FTNT_OPT_TIME  6
#define FTNT_OPT_CLIST 30

/* struct mk_list of monkey: two pointers, 2.2.0 to 5.1.1. */
struct ftnt_list {
    void *prev;
    void *next;
};

/*
 * struct flb_filter_plugin. The host copies sizeof() of *its* declaration out of
 * our symbol. 2.2.0 to 3.1.10: without cb_notification, its _head lies there and
 * is written by the host after the copy. 3.2.0 to 5.1.1: as below. 2.1 and older
 * have no cb_pre_run and are not supported. The padding keeps the copy inside our
 * object when a later version appends callbacks, and leaves those NULL.
 */
struct ftnt_filter_plugin {
    int event_type; /* 0: logs */
    int flags;
    const char *name;
    const char *description;
    void *config_map;
    int (*cb_pre_run)(void *ins, void *config, void *data);
    int (*cb_init)(void *ins, void *config, void *data);
    int (*cb_filter)(const void *data, size_t bytes, const char *tag, int tag_len,
                     void **out_buf, size_t *out_size, void *f_ins, void *i_ins,
                     void *context, void *config);
    int (*cb_exit)(void *context, void *config);
    int (*cb_notification)(void *ins, void *config, void *data);
    struct ftnt_list head;
    void *padding[16];
};

/*
 * The beginning of struct flb_filter_instance, 2.2.0 to 5.1.1. log_level is read
 * from here because flb_plg_info() and its like are macros that do the same, and
 * no exported function returns it. The host sets it before cb_init: the level of
 * the instance, else the global one (flb_filter_init); below 0 it is not set.
 */
struct ftnt_filter_instance {
    int event_type;
    int id;
    int log_level;
};

/*
 * The beginning of struct flbgo_output_plugin, what FLBPluginInit gets:
 * src/proxy/go/go.h, 2.2.0 to 5.1.1. instance is a struct flb_output_instance;
 * what remote_context holds comes back in FLBPluginFlushCtx and FLBPluginExitCtx.
 */
struct ftnt_proxy_context {
    void *remote_context;
};

struct ftnt_proxy_output {
    char *name;
    void *api;
    void *instance;
    struct ftnt_proxy_context *context;
};

/*
 * struct flb_config_map, the element of the option array. Its stride has two
 * values: flb_config_map_val has the pointer "raw" since 5.0.3, the release that
 * also brought the exported function flb_config_map_get_raw.
 */
#define FTNT_OPTION_HEAD          \
    int type;                     \
    const char *name;             \
    const char *default_value;    \
    int flags;                    \
    int set_property;             \
    uintptr_t offset;             \
    const char *description;      \
    union {                       \
        int number;               \
        double real;              \
        size_t size;              \
        void *pointer;            \
    } value;

struct ftnt_option_2_2 { /* 2.2.0 to 5.0.2 */
    FTNT_OPTION_HEAD
    void *mult;
    struct ftnt_list value_head;
    struct ftnt_list head;
};

struct ftnt_option_5_0_3 { /* 5.0.3 to 5.1.1 */
    FTNT_OPTION_HEAD
    void *raw;
    void *mult;
    struct ftnt_list value_head;
    struct ftnt_list head;
};

/* The supported platforms, linux/amd64 and linux/arm64, are both LP64. */
_Static_assert(sizeof(void *) == 8 && sizeof(int) == 4, "LP64 only");

_Static_assert(offsetof(struct ftnt_filter_plugin, name) == 8, "2.2.0 to 5.1.1");
_Static_assert(offsetof(struct ftnt_filter_plugin, config_map) == 24, "2.2.0 to 5.1.1");
_Static_assert(offsetof(struct ftnt_filter_plugin, cb_pre_run) == 32, "2.2.0 to 5.1.1");
_Static_assert(offsetof(struct ftnt_filter_plugin, cb_init) == 40, "2.2.0 to 5.1.1");
_Static_assert(offsetof(struct ftnt_filter_plugin, cb_filter) == 48, "2.2.0 to 5.1.1");
_Static_assert(offsetof(struct ftnt_filter_plugin, cb_exit) == 56, "2.2.0 to 5.1.1");
_Static_assert(offsetof(struct ftnt_filter_plugin, cb_notification) == 64,
               "3.2.0 to 5.1.1; _head in 2.2.0 to 3.1.10");
_Static_assert(offsetof(struct ftnt_filter_plugin, padding) == 88,
               "sizeof(struct flb_filter_plugin) is 88 in 3.2.0 to 5.1.1, 80 in 2.2.0 to 3.1.10");

_Static_assert(offsetof(struct ftnt_filter_instance, log_level) == 8, "2.2.0 to 5.1.1");

_Static_assert(offsetof(struct ftnt_proxy_output, instance) == 16, "2.2.0 to 5.1.1");
_Static_assert(offsetof(struct ftnt_proxy_output, context) == 24, "2.2.0 to 5.1.1");

_Static_assert(offsetof(struct ftnt_option_2_2, name) == 8, "2.2.0 to 5.0.2");
_Static_assert(offsetof(struct ftnt_option_2_2, description) == 40, "2.2.0 to 5.0.2");
_Static_assert(offsetof(struct ftnt_option_2_2, value) == 48, "2.2.0 to 5.0.2");
_Static_assert(offsetof(struct ftnt_option_2_2, mult) == 56, "2.2.0 to 5.0.2");
_Static_assert(sizeof(struct ftnt_option_2_2) == 96, "2.2.0 to 5.0.2");
_Static_assert(offsetof(struct ftnt_option_5_0_3, raw) == 56, "5.0.3 to 5.1.1");
_Static_assert(sizeof(struct ftnt_option_5_0_3) == 104, "5.0.3 to 5.1.1");

/*
 * The host as the rest of the object sees it; host.c. All of it may be called
 * from any thread.
 */

/* Name of a host function that a filter needs and this host lacks, else NULL. */
FTNT_HIDDEN const char *ftnt_host_lacks(void);

/* 1 in a process forked after this object was loaded, where Go cannot run. */
FTNT_HIDDEN int ftnt_forked(void);

/* Logs n bytes of line as they are; on stderr if the host has no logger. */
FTNT_HIDDEN void ftnt_log(int level, const char *line, size_t n);

/* Text of a filter option, NULL if unset. Owned by the host, valid while ins is. */
FTNT_HIDDEN const char *ftnt_filter_property(void *ins, const char *key);

/* Name or alias of an instance, NULL if the host has no such function. Owned by the host. */
FTNT_HIDDEN const char *ftnt_filter_name(void *ins);
FTNT_HIDDEN const char *ftnt_output_name(void *ins);

/* The output instance of the struct that the proxy hands to FLBPluginInit. */
FTNT_HIDDEN void *ftnt_output_instance(const void *plugin);

/* The highest level that an output instance logs, -1 if the host has no such function. */
FTNT_HIDDEN int ftnt_output_level(void *ins);

/* Attaches context to an output instance, which FLBPluginInit has checked; it comes
 * back in flush and exit. */
FTNT_HIDDEN void ftnt_output_set_context(void *plugin, uintptr_t context);

/* Attaches context to a filter instance; it comes back in cb_filter and cb_exit. */
FTNT_HIDDEN void ftnt_filter_set_context(void *ins, void *context);

/* n bytes of the C allocator, which the host can free; NULL if there is no memory, where
 * C.malloc of cgo would end the process. */
FTNT_HIDDEN void *ftnt_alloc(size_t n);

#endif
