/*
 * The native filter of Fluent Bit: the registration struct, the option arrays and the
 * three callbacks, which call ftntFilter* in Go.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "_cgo_export.h"
#include "abi.h"
#include "options_gen.h"

static int ftnt_init(void *ins, void *config, void *data);
static int ftnt_filter(const void *data, size_t bytes, const char *tag, int tag_len,
                       void **out_buf, size_t *out_size, void *f_ins, void *i_ins,
                       void *context, void *config);
static int ftnt_exit(void *context, void *config);

/*
 * set_property stays 0: the host then refuses unknown names only. Go reads and checks the
 * values; its errors say what is valid.
 */
#define FTNT_OPTION_ROW(opt_type, opt_key, opt_default, opt_text) \
    {.type = opt_type, .name = opt_key, .default_value = opt_default, .description = opt_text},

static struct ftnt_option_2_2 ftnt_options_2_2[] = {FTNT_FILTER_OPTIONS(FTNT_OPTION_ROW){.type = 0}};
static struct ftnt_option_5_0_3 ftnt_options_5_0_3[] = {FTNT_FILTER_OPTIONS(FTNT_OPTION_ROW){.type = 0}};

_Static_assert(sizeof(ftnt_options_2_2) / sizeof(ftnt_options_2_2[0]) == FTNT_FILTER_OPTION_COUNT + 1,
               "every option and the end");

/* The one symbol the host looks for: the file name without "flb-" and ".so", and "_plugin". */
FTNT_EXPORT struct ftnt_filter_plugin filter_fortiems_plugin = {
    .name = "fortiems",
    .description = "Parse FortiClient EMS syslog into categorised ECS records",
    .config_map = ftnt_options_2_2,
    .cb_init = ftnt_init,
    .cb_filter = ftnt_filter,
    .cb_exit = ftnt_exit,
};

/* Runs inside the host's dlopen, before the host copies the struct. */
__attribute__((constructor)) static void ftnt_filter_load(void)
{
    if (dlsym(RTLD_DEFAULT, "flb_config_map_get_raw") != NULL) {
        filter_fortiems_plugin.config_map = ftnt_options_5_0_3;
    }
}

/* Logs why an instance does not start, in the form and at the level of the instance. */
static int ftnt_refuse(void *ins, const char *text, const char *detail)
{
    const char *name = ftnt_filter_name(ins);
    int level = ((const struct ftnt_filter_instance *) ins)->log_level;
    char line[512];
    int n;

    if (level >= 0 && level < FTNT_LOG_ERROR) {
        return -1;
    }
    n = snprintf(line, sizeof(line), "[filter:fortiems:%s] %s%s", name == NULL ? "-" : name, text, detail);
    if (n > 0) {
        ftnt_log(FTNT_LOG_ERROR, line, (size_t) n < sizeof(line) ? (size_t) n : sizeof(line) - 1);
    }
    return -1;
}

static int ftnt_init(void *ins, void *config, void *data)
{
    const char *lacks = ftnt_host_lacks();
    uintptr_t handle;

    (void) config;
    (void) data;
    if (ins == NULL) {
        return -1;
    }
    if (lacks != NULL) {
        return ftnt_refuse(ins, "cannot run in this host, it does not export ", lacks);
    }
    if (ftnt_forked()) {
        return ftnt_refuse(ins, "cannot run in daemon mode (-d, daemon on): threads of Go do not survive the fork;"
                                " let systemd or a container run Fluent Bit in the foreground", "");
    }
    handle = ftntFilterInit(ins, (char *) ftnt_filter_name(ins),
                                 ((const struct ftnt_filter_instance *) ins)->log_level);
    if (handle == 0) {
        return -1;
    }
    ftnt_filter_set_context(ins, (void *) handle);
    return 0;
}

static int ftnt_filter(const void *data, size_t bytes, const char *tag, int tag_len,
                       void **out_buf, size_t *out_size, void *f_ins, void *i_ins,
                       void *context, void *config)
{
    void *out = NULL;
    size_t size = 0;

    (void) tag;
    (void) tag_len;
    (void) f_ins;
    (void) i_ins;
    (void) config;
    if (data == NULL || bytes == 0 || bytes > PTRDIFF_MAX || out_buf == NULL || out_size == NULL || context == NULL) {
        return FTNT_FILTER_NOTOUCH;
    }
    if (ftntFilterRun((uintptr_t) context, (void *) data, bytes, &out, &size) != FTNT_FILTER_MODIFIED) {
        return FTNT_FILTER_NOTOUCH;
    }
    /* From here the host owns out and frees it; NULL with size 0 drops all records. */
    *out_buf = out;
    *out_size = size;
    return FTNT_FILTER_MODIFIED;
}

static int ftnt_exit(void *context, void *config)
{
    (void) config;
    if (context != NULL && !ftnt_forked()) {
        ftntFilterExit((uintptr_t) context);
    }
    return 0;
}
