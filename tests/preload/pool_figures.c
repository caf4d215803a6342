/* The report's pools against the program's own count (pool.py): 5,000 objects of 200 bytes at most, 2,000 left. */
#include "expect.h"

static void *objects[5000];

NOINLINE static void *leak(void) { return malloc(200); }

int main(void) {
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5000; i++) objects[i] = leak();
        for (int i = round < 2 ? 0 : 2000; i < 5000; i++) free(objects[i]);
    }
    return 0;
}
