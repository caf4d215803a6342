/* What a program says of its leaks itself: each mark, checks while it runs, and a busy crowd of threads to be
   looked at from outside. Arguments: what to do. */
#include <poolprof/poolprof.h>
#include <poolprof/segment.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases.h"

void __lsan_ignore_object(const void *block) __attribute__((weak));
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));
void __lsan_register_root_region(const void *at, size_t bytes) __attribute__((weak));
void __lsan_unregister_root_region(const void *at, size_t bytes) __attribute__((weak));
void __lsan_do_leak_check(void) __attribute__((weak));
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));
void heaptrack_report_alloc(void *block, size_t bytes) __attribute__((weak));
void heaptrack_report_free(void *block) __attribute__((weak));
void heaptrack_malloc(void *block, size_t bytes) __attribute__((weak));
void heaptrack_realloc(void *block, size_t bytes, void *to) __attribute__((weak));
void heaptrack_free(void *block) __attribute__((weak));

const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return getenv("LEAKS_OWN_SUPPRESSIONS"); }

static volatile unsigned long hidden_block;

static void say(const char *what, long number) {
    char line[64];
    int length = snprintf(line, sizeof line, "%s %ld\n", what, number);
    if (write(1, line, (size_t)length) != length) _exit(97);
}

NOINLINE static void wipe_stack(void) {
    volatile char room[32768];
    memset((char *)room, 0, sizeof room);
}

NOINLINE static void leak_one(void) { memset(malloc(111), 1, 111); }

NOINLINE static void ignore_objects(void) {
    for (int i = 0; i < 200; i++) free(malloc(100)); /* from then on it comes from a pool */
    void **small = malloc(100), **large = malloc(3000);
    *small = malloc(50);
    *large = malloc(51);
    __lsan_ignore_object(small);
    poolprof_ignore(large);
}

NOINLINE static void ignore_scope(void) {
    __lsan_disable();
    poolprof_ignore_begin();
    for (int i = 0; i < 200; i++) memset(malloc(200), 1, 200);
    poolprof_ignore_end();
    memset(malloc(5000), 1, 5000);
    __lsan_enable();
}

/* A region on the heap, hidden, that holds the only pointer to another block; one with a name. */
NOINLINE static void register_region(void) {
    void **region = malloc(4000);
    region[300] = malloc(77);
    hidden_block = hidden(region);
    poolprof_ignore(region);
    __lsan_register_root_region(region, 4000);
    void **named = malloc(4100);
    named[2] = malloc(79);
    poolprof_ignore(named);
    poolprof_root("arena", named, 4100);
    __lsan_register_root_region(named, 4100);
    printf("regions %p %p\n", (void *)region, (void *)named);
    fflush(stdout);
}

NOINLINE static void annotations(void) {
    ignore_objects();
    ignore_scope();
    register_region();
    wipe_stack();
}

/* Blocks of allocators of our own: of memory that is a root (one lost, one held, one moved, two gone), and of a block
   of malloc's, with one that starts where that does. */
static void *volatile held_block;

NOINLINE static void *report(char *block, size_t bytes) {
    heaptrack_report_alloc(block, bytes);
    return block;
}

NOINLINE static void report_divided(void) {
    char *chunk = malloc(100000);
    void **holder = report(chunk, 64);
    *holder = malloc(70);
    report(chunk + 128, 65);
    hidden_block = hidden(chunk);
    for (int i = 0; i < 2; i++) report(chunk + 256, 66); /* the first of these counts as freed */
    char *given_back = malloc(100000);
    heaptrack_report_alloc(given_back, 67);
    free(given_back);
    heaptrack_report_free(given_back);
    heaptrack_report_free(chunk + 4096);
}

NOINLINE static void reported(void) {
    char *arena = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    report(arena, 50);
    held_block = report(arena + 104, 51);
    heaptrack_report_free(report(arena + 208, 52));
    heaptrack_report_alloc(NULL, 1);
    heaptrack_report_free(NULL);
    heaptrack_malloc(arena + 304, 53);
    heaptrack_realloc(arena + 304, 54, arena + 400);
    heaptrack_malloc(arena + 512, 55);
    heaptrack_free(arena + 512);
    report_divided();
}

NOINLINE static void checks(void) {
    say("before", poolprof_leak_check());
    leak_one();
    wipe_stack();
    say("after", poolprof_leak_check());
    say("recoverable", __lsan_do_recoverable_leak_check());
    __lsan_do_leak_check();
    say("still", 1);
}

/* Threads that move nodes about between lists, stacks and registers, and free and make some. */
struct node {
    struct node *next;
    unsigned long words[7];
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct node *shared_list;
static volatile int crowd_ends;
static int stops; /* a signal stops it: then the kernel itself lets epoll_wait say so */

/* Through a vector register: for an instruction or two it is nowhere else. */
NOINLINE static void swap(struct node *pair[2], struct node *other[2]) {
    long long first __attribute__((vector_size(16))), second __attribute__((vector_size(16)));
    memcpy(&first, pair, sizeof first);
    memcpy(&second, other, sizeof second);
    memcpy(pair, &second, sizeof second);
    memcpy(other, &first, sizeof first);
}

/* What is waited in must not be interrupted; who waits has its list in a register. */
NOINLINE static struct node *wait_a_moment(struct node *list, int queue) {
    struct epoll_event event;
    if (epoll_wait(queue, &event, 1, 1) != 0 && !stops) _exit(91);
    if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD) _exit(92);
    return list;
}

static void *crowd(void *argument) {
    struct node *own = NULL, *pair[2] = {NULL, NULL}, *other[2] = {NULL, NULL};
    int queue = epoll_create1(0);
    unsigned seed = (unsigned)(unsigned long)argument;
    for (unsigned long round = 0; !crowd_ends; round++) {
        struct node *node = calloc(1, round % 5 == 0 ? 2500 : sizeof *node);
        node->next = own;
        own = node;
        if (rand_r(&seed) % 4 == 0) {
            pthread_mutex_lock(&lock);
            struct node *taken = shared_list;
            shared_list = own;
            own = taken;
            pthread_mutex_unlock(&lock);
        }
        for (unsigned i = rand_r(&seed) % 3; own != NULL && i > 0; i--) {
            struct node *gone = own;
            own = own->next;
            free(gone);
        }
        pair[0] = own;
        swap(pair, other);
        own = other[0];
        swap(pair, other);
        if (round % 512 == 0) own = wait_a_moment(own, queue);
        if (round % 64 == 0) { /* a long array that moves as it grows and shrinks */
            struct node **array = NULL;
            for (int i = 1; i < 200; i++) {
                array = realloc(array, (size_t)i * sizeof *array);
                array[i - 1] = malloc(40);
            }
            for (int i = 198; i >= 0; i--) free(array[i]);
            free(array);
        }
    }
    return own;
}

static void busy(void) {
    char byte;
    for (unsigned long i = 1; i <= 8; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, crowd, (void *)i) != 0) _exit(94);
    }
    leak_one();
    wipe_stack();
    say("ready", 1);
    if (read(0, &byte, 1) != 1) _exit(0);
    _exit(0);
}

/* As a wild write does: nobody waits for the check. */
static void ask_for_nothing(void) {
    char line[1024];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps)) {
        struct pp_segment_header *header = (void *)strtoul(line, NULL, 16);
        if (!strstr(line, " rw-s ") || memcmp(header->magic, PP_SEGMENT_MAGIC, sizeof header->magic) != 0) continue;
        atomic_fetch_add(&header->check_wanted, 7);
        break;
    }
    if (maps) fclose(maps);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "unreadable") == 0) prctl(PR_SET_DUMPABLE, 0);
        else if (strcmp(argv[i], "annotations") == 0) annotations();
        else if (strcmp(argv[i], "unregister") == 0) __lsan_unregister_root_region(shown(hidden_block), 4000);
        else if (strcmp(argv[i], "reported") == 0) reported();
        else if (strcmp(argv[i], "checks") == 0) checks();
        else if (strcmp(argv[i], "leak") == 0) leak_one();
        else if (strcmp(argv[i], "wild") == 0) ask_for_nothing();
        else if (strcmp(argv[i], "busy") == 0) busy();
        else if (strcmp(argv[i], "stops") == 0) stops = 1;
        else if (strcmp(argv[i], "quick") == 0) quick_exit(4);
        else if (strcmp(argv[i], "_exit") == 0) _exit(5);
        else if (strcmp(argv[i], "abort") == 0) abort();
        wipe_stack();
    }
    return 3;
}
