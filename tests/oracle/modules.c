/* dlopen and dlclose: other code at the same addresses. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module.h"
#include "oracle.h"
#include "segment.h"

static void *last_at;
static long moved, wrong;

static void call_plugin(const char *path, void (*in_it)(void)) {
    void *handle = dlopen(path, RTLD_NOW);
    if (!handle) fprintf(stderr, "%s\n", dlerror()), exit(1);
    void (*call)(void (*)(void)) =
        (void (*)(void (*)(void)))(uintptr_t)dlsym(handle, "plugin_call");
    if (last_at && last_at != (void *)(uintptr_t)call) moved++;
    last_at = (void *)(uintptr_t)call;
    call(in_it);
    if (in_it != oracle_check) goto close;
    /* The frame must name this plugin and no other. */
    const struct pp_segment_module *module = PP_SEGMENT_MODULE(PP_NODE_MODULE(oracle_last_key(0)));
    const char *recorded = pp_segment.area_base[PP_AREA_TEXT] + module->path;
    if (strcmp(recorded, path) != 0 || module->unloaded_tick != 0) wrong++;
close:
    dlclose(handle);
    pp_module_unloaded();
}

static void nothing(void) {}

/* Rules go stale all the time under the feet of others. */
static void while_others_unwind(const char *plugin_a, const char *plugin_b) {
    pthread_t thread[4];
    uint32_t before = pp_module_generation;
    oracle_begin("4 threads while a library comes and goes", ORACLE_STRICT);
    for (uintptr_t i = 0; i < 4; i++)
        pthread_create(&thread[i], NULL, walk_in_thread, (void *)(i + 100));
    for (int i = 0; i < 2000; i++) call_plugin(i % 2 ? plugin_a : plugin_b, nothing);
    for (int i = 0; i < 4; i++) pthread_join(thread[i], NULL);
    if (pp_module_generation - before != 2000) exit(1);
}

void situations_modules(const char *plugin_a, const char *plugin_b) {
    oracle_begin("dlopen and dlclose at one address", ORACLE_STALE_LIBUNWIND);
    for (int i = 0; i < 300; i++) call_plugin(i % 2 ? plugin_a : plugin_b, oracle_check);
    if (moved > 3) fprintf(stderr, "plugins moved %ld times\n", moved);
    uint64_t modules = pp_segment.header->areas[PP_AREA_MODULES].count;
    if (wrong || modules > 20) {
        fprintf(stderr, "modules: %ld wrong names, %lu recorded\n", wrong, modules);
        exit(1);
    }
    while_others_unwind(plugin_a, plugin_b);
}
