/*
 * The entries of Fluent Bit's Go proxy that run after a possible fork. They are C
 * so that a daemonised host never enters Go, where the call would hang.
 */

#include <stdint.h>
#include <string.h>

#include "_cgo_export.h"
#include "abi.h"

FTNT_EXPORT int FLBPluginInit(void *plugin);
FTNT_EXPORT int FLBPluginFlushCtx(void *context, const void *data, size_t length, const char *tag);
FTNT_EXPORT int FLBPluginExitCtx(void *context);

int FLBPluginInit(void *plugin)
{
    static const char daemon[] =
        "[output:fortiems_es] cannot run in daemon mode (-d, daemon on): threads of Go do not survive the fork;"
        " let systemd or a container run Fluent Bit in the foreground";

    static const char foreign[] = "[output:fortiems_es] cannot run in this host: it has no interface for Go outputs";
    const struct ftnt_proxy_output *p = plugin;

    if (p == NULL) {
        return FTNT_PROXY_ERROR;
    }
    if (p->api == NULL || p->context == NULL) {
        ftnt_log(FTNT_LOG_ERROR, foreign, strlen(foreign));
        return FTNT_PROXY_ERROR;
    }
    if (ftnt_forked()) {
        ftnt_log(FTNT_LOG_ERROR, daemon, strlen(daemon));
        return FTNT_PROXY_ERROR;
    }
    return ftntOutputInit(plugin);
}

/* A chunk that cannot be handled now is handed back, never dropped. */
int FLBPluginFlushCtx(void *context, const void *data, size_t length, const char *tag)
{
    if (context == NULL || data == NULL || length > PTRDIFF_MAX || ftnt_forked()) {
        return FTNT_PROXY_RETRY;
    }
    return ftntOutputFlush((uintptr_t) context, (void *) data, length, (char *) tag);
}

int FLBPluginExitCtx(void *context)
{
    if (context == NULL || ftnt_forked()) {
        return FTNT_PROXY_OK;
    }
    return ftntOutputExit((uintptr_t) context);
}
