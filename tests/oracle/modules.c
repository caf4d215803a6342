/* dlopen and dlclose: other code at the same addresses. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module.h"
#include "oracle.h"
#include "segment.h"

static void *last_at;
static long moved, wrong;

static void call_plugin(const char *path) {
    void *handle = dlopen(path, RTLD_NOW);
    if (!handle) fprintf(stderr, "%s\n", dlerror()), exit(1);
    void (*call)(void (*)(void)) =
        (void (*)(void (*)(void)))(uintptr_t)dlsym(handle, "plugin_call");
    if (last_at && last_at != (void *)(uintptr_t)call) moved++;
    last_at = (void *)(uintptr_t)call;
    call(oracle_check);
    /* The frame must name this plugin and no other. */
    const struct pp_segment_module *module = PP_SEGMENT_MODULE(PP_NODE_MODULE(oracle_last_key(0)));
    const char *recorded = pp_segment.area_base[PP_AREA_TEXT] + module->path;
    if (strcmp(recorded, path) != 0 || module->unloaded_tick != 0) wrong++;
    dlclose(handle);
    pp_module_unloaded();
}

void situations_modules(const char *plugin_a, const char *plugin_b) {
    oracle_begin("dlopen and dlclose at one address", ORACLE_STALE_LIBUNWIND);
    for (int i = 0; i < 300; i++) call_plugin(i % 2 ? plugin_a : plugin_b);
    if (moved > 3) fprintf(stderr, "plugins moved %ld times\n", moved);
    uint64_t modules = pp_segment.header->areas[PP_AREA_MODULES].count;
    if (wrong || modules > 20) {
        fprintf(stderr, "modules: %ld wrong names, %lu recorded\n", wrong, modules);
        exit(1);
    }
}
