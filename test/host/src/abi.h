/*
 * The binary interface between a plugin and Fluent Bit, as far as this host needs
 * it. Every fact names the release it was read in. Nothing here is copied from
 * Fluent Bit's headers: only sizes, order and values are the same.
 */
#ifndef FORTIEMS_HOST_ABI_H
#define FORTIEMS_HOST_ABI_H

#include <stddef.h>
#include <stdint.h>

/*
 * The three hosts that can be imitated. They differ in two independent ways:
 *
 *                        2.2    5.0.2   5.1.1
 *   cb_notification      no     yes     yes     (since 3.2)
 *   raw in config map    no     no      yes     (since 5.0.3)
 *
 * 2.2 covers 2.2.0 to 3.1, 5.0.2 covers 3.2 to 5.0.2, 5.1.1 covers 5.0.3 and later.
 */
enum host_abi { ABI_2_2, ABI_5_0_2, ABI_5_1_1 };

struct flb_config;          /* opaque: plugins only pass the pointer back */
struct flb_filter_instance; /* opaque: read through exported functions only */
struct flb_input_instance;
struct flb_output_instance;

struct list_link {
    struct list_link *prev, *next;
};

/* Results of cb_filter; any other value than 1 leaves the chunk unchanged (5.1.1 flb_filter.c). */
#define FILTER_MODIFIED 1
#define FILTER_NOTOUCH 2

/* Results of an output's flush; any other value counts as an error (5.1.1 flb_plugin_proxy.c). */
#define FLUSH_ERROR 0
#define FLUSH_OK 1
#define FLUSH_RETRY 2

typedef int (*filter_init_fn)(struct flb_filter_instance *, struct flb_config *, void *);
typedef int (*filter_fn)(const void *data, size_t bytes, const char *tag, int tag_len,
                         void **out_buf, size_t *out_size,
                         struct flb_filter_instance *, struct flb_input_instance *,
                         void *context, struct flb_config *);
typedef int (*filter_exit_fn)(void *context, struct flb_config *);

/* Registration structure of a filter, 2.2.0 to 3.1 (read in 2.2.3). */
struct filter_plugin_2_2 {
    int event_type;
    int flags;
    char *name;
    char *description;
    void *config_map;
    filter_init_fn cb_pre_run;
    filter_init_fn cb_init;
    filter_fn cb_filter;
    filter_exit_fn cb_exit;
    struct list_link head;
};

/* The same since 3.2 (read in 3.2.10, 5.0.2, 5.0.3 and 5.1.1): one more callback before the link. */
struct filter_plugin_3_2 {
    int event_type;
    int flags;
    char *name;
    char *description;
    void *config_map;
    filter_init_fn cb_pre_run;
    filter_init_fn cb_init;
    filter_fn cb_filter;
    filter_exit_fn cb_exit;
    filter_init_fn cb_notification;
    struct list_link head;
};

/* Public head of a config map entry, unchanged from 2.2.3 to 5.1.1. */
struct config_map_head {
    int type;
    char *name; /* NULL ends the array */
    char *def_value;
    int flags;
    int set_property;
    uintptr_t offset;
    char *desc;
};

/* Whole entry up to 5.0.2: only its size matters, it is the stride of the array. */
struct config_map_5_0_2 {
    struct config_map_head head;
    union {
        double number;
        void *pointer;
    } value;
    void *mult;
    struct list_link value_link;
    struct list_link link;
};

/* Whole entry since 5.0.3: one more pointer, for the text before environment variables are expanded. */
struct config_map_5_0_3 {
    struct config_map_head head;
    union {
        double number;
        void *pointer;
    } value;
    char *raw;
    void *mult;
    struct list_link value_link;
    struct list_link link;
};

_Static_assert(sizeof(struct filter_plugin_3_2) ==
                   sizeof(struct filter_plugin_2_2) + sizeof(void *),
               "3.2 added exactly one callback");
_Static_assert(sizeof(struct config_map_5_0_3) ==
                   sizeof(struct config_map_5_0_2) + sizeof(void *),
               "5.0.3 added exactly one pointer");

/* Types of config map entries (2.2.3 to 5.1.1; 50 is newer than 2.2). */
enum {
    MAP_STR = 0,
    MAP_STR_PREFIX = 1,
    MAP_INT = 2,
    MAP_BOOL = 3,
    MAP_DOUBLE = 4,
    MAP_SIZE = 5,
    MAP_TIME = 6,
    MAP_DEPRECATED = 7,
    MAP_CLIST = 30,   /* 31 to 34: with at least 1 to 4 parts */
    MAP_SLIST = 40,   /* 41 to 44: likewise */
    MAP_VARIANT = 50
};
#define MAP_FLAG_MULT 1

/*
 * The Go proxy interface of outputs (5.1.1 flb_plugin_proxy.h, proxy/go/go.h, flb_api.h). 2.2.3 ends the definition after
 * description and the function table after output_log_check; the rest was appended, so one layout serves all.
 */
#define PROXY_OUTPUT_PLUGIN 2
#define PROXY_GOLANG 11

struct proxy_def {
    int type;
    int proxy;
    int flags;
    char *name;
    char *description;
    int event_type;
    void *config_map;
};

struct proxy_api {
    const char *(*output_get_property)(const char *, struct flb_output_instance *);
    const char *(*input_get_property)(const char *, struct flb_input_instance *);
    void *(*output_get_cmt_instance)(struct flb_output_instance *);
    void *(*input_get_cmt_instance)(struct flb_input_instance *);
    void (*log_print)(int, const char *, int, const char *, ...);
    int (*input_log_check)(struct flb_input_instance *, int);
    int (*output_log_check)(struct flb_output_instance *, int);
    const char *(*custom_get_property)(const char *, void *);
    int (*custom_log_check)(void *, int);
};

struct proxy_context {
    void *remote_context; /* set by the plugin in its init, passed to flush and exit */
    void *proxy;
};

struct go_output_plugin {
    char *name;
    struct proxy_api *api;
    struct flb_output_instance *o_ins;
    struct proxy_context *context;

    int (*cb_init)(struct go_output_plugin *);
    int (*cb_flush)(const void *, size_t, const char *);
    int (*cb_flush_ctx)(void *, const void *, size_t, char *);
    int (*cb_exit)(void);
    int (*cb_exit_ctx)(void *);
};

#endif
