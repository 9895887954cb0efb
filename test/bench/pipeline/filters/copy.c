/*
 * A native filter that only copies the buffer: what Fluent Bit itself spends on any
 * filter that modifies. Layouts as in plugin/abi.h.
 */
#include <stdlib.h>
#include <string.h>

#include "../../../../plugin/abi.h"

static int copy_init(void *ins, void *config, void *data)
{
    (void) ins;
    (void) config;
    (void) data;
    return 0;
}

static int copy_filter(const void *data, size_t bytes, const char *tag, int tag_len, void **out_buf,
                       size_t *out_size, void *f_ins, void *i_ins, void *context, void *config)
{
    void *copy = malloc(bytes);

    (void) tag;
    (void) tag_len;
    (void) f_ins;
    (void) i_ins;
    (void) context;
    (void) config;
    if (copy == NULL) {
        return FTNT_FILTER_NOTOUCH;
    }
    memcpy(copy, data, bytes);
    *out_buf = copy;
    *out_size = bytes;
    return FTNT_FILTER_MODIFIED;
}

FTNT_EXPORT struct ftnt_filter_plugin filter_copy_plugin = {
    .name = "copy",
    .description = "copies the buffer",
    .cb_init = copy_init,
    .cb_filter = copy_filter,
};
