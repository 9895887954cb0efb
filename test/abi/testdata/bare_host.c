/*
 * A host that exports none of Fluent Bit's functions and passes invalid arguments. It
 * prints the object's return values. Offsets are those of Fluent Bit 2.2.0 to 5.1.1 on LP64.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef int (*init_fn)(void *, void *, void *);
typedef int (*filter_fn)(const void *, size_t, const char *, int, void **, size_t *, void *, void *, void *, void *);
typedef int (*exit_fn)(void *, void *);
typedef int (*pointer_fn)(void *);
typedef int (*flush_fn)(void *, const void *, size_t, const char *);

static void *object;

static void *symbol(const char *name)
{
    void *s = dlsym(object, name);

    if (s == NULL) {
        fprintf(stderr, "no %s\n", name);
    }
    return s;
}

static void *member(const char *plugin, size_t offset)
{
    void *p;

    memcpy(&p, plugin + offset, sizeof(p));
    return p;
}

int main(int argc, char **argv)
{
    int instance[64] = {0, 0, -1};
    struct { void *name, *api, *instance; void *more[8]; } proxy = {0};
    void *wild = (void *) (uintptr_t) 0xdeadbeef;
    void *out = NULL;
    size_t size = 0;
    const char *plugin;
    init_fn init;
    filter_fn filter;
    exit_fn end;
    pointer_fn proxy_init, proxy_exit, proxy_register;
    flush_fn flush;

    object = argc == 2 ? dlopen(argv[1], RTLD_LAZY) : NULL;
    if (object == NULL || (plugin = symbol("filter_fortiems_plugin")) == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    init = (init_fn) member(plugin, 40);
    filter = (filter_fn) member(plugin, 48);
    end = (exit_fn) member(plugin, 56);
    printf("init %d\n", init(instance, NULL, NULL));
    printf("init NULL %d\n", init(NULL, NULL, NULL));
    printf("filter %d %d %d %d %d %d\n",
           filter(NULL, 5, "t", 1, &out, &size, instance, NULL, wild, NULL),
           filter("chunk", 0, "t", 1, &out, &size, instance, NULL, wild, NULL),
           filter("chunk", SIZE_MAX, "t", 1, &out, &size, instance, NULL, wild, NULL),
           filter("chunk", 5, NULL, 0, NULL, NULL, NULL, NULL, wild, NULL),
           filter("chunk", 5, "t", 1, &out, &size, instance, NULL, NULL, NULL),
           filter("chunk", 5, "t", 1, &out, &size, instance, NULL, wild, NULL));
    printf("exit %d %d\n", end(NULL, NULL), end(wild, NULL));
    proxy_init = (pointer_fn) symbol("FLBPluginInit");
    proxy_exit = (pointer_fn) symbol("FLBPluginExitCtx");
    proxy_register = (pointer_fn) symbol("FLBPluginRegister");
    flush = (flush_fn) symbol("FLBPluginFlushCtx");
    printf("proxy init %d %d\n", proxy_init(NULL), proxy_init(&proxy));
    printf("flush %d %d %d\n", flush(NULL, "chunk", 5, "t"), flush(wild, NULL, 5, NULL), flush(wild, "chunk", 5, "t"));
    printf("proxy exit %d %d\n", proxy_exit(NULL), proxy_exit(wild));
    printf("register %d\n", proxy_register(NULL));
    return 0;
}
