/*
 * The one symbol by which a plugin can distinguish Fluent Bit 5.0.3 and later from
 * older ones. It is in a separate object, embedded in the host, which opens it with
 * RTLD_GLOBAL only when it imitates such a release: a symbol of the executable could
 * not be hidden from dlsym(RTLD_DEFAULT, ...).
 */
#include "abi.h"

__attribute__((visibility("default"))) const char *flb_config_map_get_raw(struct config_map_5_0_3 *map);

/* Text of the entry before environment variables were expanded, NULL if there is none; owned by the entry. */
const char *flb_config_map_get_raw(struct config_map_5_0_3 *map)
{
    return map == NULL ? NULL : map->raw;
}
