/* A library of neighbours.py's: its malloc and free are whatever its place among the others makes them. With TLS: its
   thread-local block lies in the static part, of which little is left for libraries that come late. */
#include <stdlib.h>

#ifdef TLS
__attribute__((tls_model("initial-exec"))) __thread char block[TLS];
#endif

void *plugin_allocate(size_t bytes);
void *plugin_allocate(size_t bytes) {
#ifdef TLS
    block[0]++;
#endif
    return malloc(bytes);
}

void plugin_release(void *block);
void plugin_release(void *at) { free(at); }
