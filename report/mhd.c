/* See mhd.h. */
#include "mhd.h"

#include <dlfcn.h>
#include <stdio.h>

#define LIBRARY "libmicrohttpd.so.12" /* of this soname is the header's interface since 0.9.20 */

struct mhd mhd;

bool mhd_load(char *why, size_t why_bytes) {
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        snprintf(why, why_bytes, "nothing to serve with: %s (Debian's package is libmicrohttpd12)", dlerror());
        return false; /* not covered: the library is installed where this is measured */
    }
    const struct {
        const char *name;
        void **to;
    } calls[] = {
#define CALL(name) {"MHD_" #name, (void **)&mhd.name},
        MHD_CALLS(CALL)
#undef CALL
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        *calls[i].to = dlsym(library, calls[i].name);
        if (*calls[i].to != NULL) continue;
        snprintf(why, why_bytes, "%s has no %s", LIBRARY, calls[i].name);
        return false; /* not covered: a later version of the library may lack a call */
    }
    return true;
}
