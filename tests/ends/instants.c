/* Two threads that allocate and free until they are killed, and count what they do in a shared file (first
   argument), each store before or after the call it tells of: instants.py compares. No other thread, no libc
   allocation in between. A second argument stops them after so many rounds. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

#include "../preload/expect.h"

enum { HELD = 512 };

struct account { /* little-endian 64-bit words, see instants.py */
    _Atomic uint64_t started;
    _Atomic uint64_t objects, bytes;           /* held, calls that have returned */
    _Atomic uint64_t allocating, freeing;      /* bytes in a call now, 0: in none */
    _Atomic uint64_t allocations;              /* calls that have returned */
    uint64_t reserved[10];
};
static struct account *accounts;
static uint64_t rounds = UINT64_MAX;

#define WORK(n)                                                                                   \
    NOINLINE void *held_##n(size_t bytes) { return malloc(bytes); }                               \
    static void *work_##n(void *unused) {                                                         \
        static struct { void *block; uint64_t bytes; } slots[HELD];                               \
        struct account *account = &accounts[n];                                                   \
        uint64_t random = 88172645463325252u + n;                                                 \
        account->started = 1;                                                                     \
        for (uint64_t i = 0; i < rounds; i++) {                                                   \
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;                \
            unsigned k = random % HELD;                                                           \
            uint64_t bytes = 1 + (random >> 20) % (random >> 60 ? 900 : 40000);                   \
            if (slots[k].block) {                                                                 \
                account->freeing = slots[k].bytes;                                                \
                free(slots[k].block);                                                             \
                account->objects--;                                                               \
                account->bytes -= slots[k].bytes;                                                 \
                account->freeing = 0;                                                             \
                slots[k].block = NULL;                                                            \
            } else {                                                                              \
                account->allocating = bytes;                                                      \
                slots[k].block = held_##n(bytes);                                                 \
                slots[k].bytes = bytes;                                                           \
                account->objects++;                                                               \
                account->bytes += bytes;                                                          \
                account->allocations++;                                                           \
                account->allocating = 0;                                                          \
            }                                                                                     \
        }                                                                                         \
        return unused;                                                                            \
    }
WORK(0)
WORK(1)

int main(int argc, char **argv) {
    int fd = open(argv[1], O_RDWR);
    pthread_t thread;
    accounts = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(argc > 1 && fd >= 0 && accounts != MAP_FAILED);
    close(fd);
    if (argc > 2) rounds = strtoull(argv[2], NULL, 10);
    CHECK(pthread_create(&thread, NULL, work_1, NULL) == 0);
    work_0(NULL);
    pthread_join(thread, NULL);
    return 0;
}
