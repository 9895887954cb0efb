/*
 * The one symbol by which a plugin can tell Fluent Bit 5.0.3 and later from older
 * ones. It lives in an object of its own, which the host carries inside itself and
 * opens with RTLD_GLOBAL only when it imitates such a release: what is in the
 * executable could not be hidden from dlsym(RTLD_DEFAULT, ...) any more.
 */
#include "abi.h"

__attribute__((visibility("default"))) const char *flb_config_map_get_raw(struct config_map_5_0_3 *map);

/* Text of the entry before environment variables were put in, NULL if there is none; owned by the entry. */
const char *flb_config_map_get_raw(struct config_map_5_0_3 *map)
{
    return map == NULL ? NULL : map->raw;
}
