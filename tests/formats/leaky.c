/* The same program before and after a change: -DBUILD=1 and 2. What each function leaves is its name's matter. */
#include <stdlib.h>
#include <string.h>

static void *volatile kept;

#if BUILD == 2
/* Moves all that follows. */
void unrelated(void) {
    char text[64];
    memset(text, (int)(long)kept, sizeof text);
    kept = text[1] ? text : kept;
}
#endif

static void leave(size_t bytes, int times) {
    while (times-- > 0)
        kept = malloc(bytes);
}

void same(void) { leave(1000, 10); }
void grown(void) { leave(100, BUILD * 10); }
void shrunk(void) { leave(50, 30 / BUILD); }
void gone(void) { leave(7, BUILD == 1 ? 3 : 0); }
void added(void) { leave(9, BUILD == 1 ? 0 : 4); }

int main(void) {
#if BUILD == 2
    unrelated();
#endif
    same();
    grown();
    shrunk();
    gone();
    added();
    return 0;
}
