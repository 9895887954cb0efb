/* The functions of the host process, found by name once, when it loads us. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "abi.h"

/* Signatures: include/fluent-bit/flb_filter.h, flb_output.h and flb_log.h, 2.2.0 to 5.1.1. */
static const char *(*ftnt_flb_filter_get_property)(const char *key, void *ins);
static const char *(*ftnt_flb_filter_name)(void *ins);
static void (*ftnt_flb_filter_set_context)(void *ins, void *context);
static const char *(*ftnt_flb_output_name)(void *ins);
static int (*ftnt_flb_output_log_check)(void *ins, int level);
static void (*ftnt_flb_log_print)(int level, const char *file, int line, const char *fmt, ...);

static pid_t ftnt_pid;

/* ISO C has no cast from an object to a function pointer; POSIX wants dlsym used
 * with one, and copying the bytes is the form every compiler takes silently. */
static void ftnt_find(void *function, const char *name)
{
    void *symbol = dlsym(RTLD_DEFAULT, name);

    memcpy(function, &symbol, sizeof(symbol));
}

/* Runs inside the host's dlopen, before any thread of the host can call us. */
__attribute__((constructor)) static void ftnt_host_load(void)
{
    ftnt_pid = getpid();
    ftnt_find(&ftnt_flb_filter_get_property, "flb_filter_get_property");
    ftnt_find(&ftnt_flb_filter_name, "flb_filter_name");
    ftnt_find(&ftnt_flb_filter_set_context, "flb_filter_set_context");
    ftnt_find(&ftnt_flb_output_name, "flb_output_name");
    ftnt_find(&ftnt_flb_output_log_check, "flb_output_log_check");
    ftnt_find(&ftnt_flb_log_print, "flb_log_print");
}

const char *ftnt_host_lacks(void)
{
    if (ftnt_flb_filter_get_property == NULL) {
        return "flb_filter_get_property";
    }
    if (ftnt_flb_filter_name == NULL) {
        return "flb_filter_name";
    }
    if (ftnt_flb_filter_set_context == NULL) {
        return "flb_filter_set_context";
    }
    if (ftnt_flb_log_print == NULL) {
        return "flb_log_print";
    }
    return NULL;
}

int ftnt_forked(void)
{
    return getpid() != ftnt_pid;
}

void ftnt_log(int level, const char *line, size_t n)
{
    int length = n > 4096 ? 4096 : (int) n;

    if (ftnt_flb_log_print != NULL) {
        ftnt_flb_log_print(level, NULL, 0, "%.*s", length, line);
    }
    else {
        fprintf(stderr, "%.*s\n", length, line);
    }
}

const char *ftnt_filter_property(void *ins, const char *key)
{
    return ftnt_flb_filter_get_property == NULL ? NULL : ftnt_flb_filter_get_property(key, ins);
}

const char *ftnt_filter_name(void *ins)
{
    return ftnt_flb_filter_name == NULL ? NULL : ftnt_flb_filter_name(ins);
}

const char *ftnt_output_name(void *ins)
{
    return ftnt_flb_output_name == NULL || ins == NULL ? NULL : ftnt_flb_output_name(ins);
}

void *ftnt_output_instance(const void *plugin)
{
    return plugin == NULL ? NULL : ((const struct ftnt_proxy_output *) plugin)->instance;
}

int ftnt_output_level(void *ins)
{
    int level = FTNT_LOG_DEBUG;

    if (ftnt_flb_output_log_check == NULL || ins == NULL) {
        return -1;
    }
    while (level > 0 && !ftnt_flb_output_log_check(ins, level)) {
        level--;
    }
    return level;
}

void ftnt_output_set_context(void *plugin, uintptr_t context)
{
    ((struct ftnt_proxy_output *) plugin)->context->remote_context = (void *) context;
}

void ftnt_filter_set_context(void *ins, void *context)
{
    if (ftnt_flb_filter_set_context != NULL) {
        ftnt_flb_filter_set_context(ins, context);
    }
}

void *ftnt_alloc(size_t n)
{
    return malloc(n);
}
