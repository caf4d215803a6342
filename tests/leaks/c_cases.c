/* Cases in C: what points where. See cases.h. */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cases.h"

struct node {
    struct node *left, *right;
    char more[32];
};

/* Volatile: nobody reads them, and what is stored in them must be there. */
static void *volatile global, *volatile globals[64];
static volatile unsigned long hidden_global;

NOINLINE static struct node *new_node(struct node *left, struct node *right) {
    struct node *node = calloc(1, sizeof *node);
    node->left = left;
    node->right = right;
    return node;
}

NOINLINE static struct node *new_tree(int depth) {
    return depth == 0 ? NULL : new_node(new_tree(depth - 1), new_tree(depth - 1));
}

NOINLINE static struct node *new_list(int length) {
    struct node *head = NULL;
    while (length-- > 0) head = new_node(head, NULL);
    return head;
}

/* ---- shapes ---- */

static void trivial(void) {
    memset(malloc(10), 1, 10);
    expect("lost", 1, 10);
}

static void list(void) {
    new_list(10);
    expect("lost", 1, 48);
    expect("indirect", 9, 432);
}

static void long_list(void) {
    new_list(20000);
    expect("lost", 1, 48);
    expect("indirect", 19999, 19999 * 48);
}

static void held_list(void) {
    global = new_list(1000);
    expect("reachable", 1000, 48000);
}

static void ring(void) {
    struct node *a = new_node(NULL, NULL), *b = new_node(a, NULL);
    a->left = new_node(b, NULL);
    expect("lost", 1, 48);
    expect("indirect", 2, 96);
}

static void ring_with_a_tail(void) {
    struct node *a = new_node(NULL, NULL);
    a->left = a;
    a->right = new_list(3);
    new_node(a, NULL);
    expect("lost", 1, 48);
    expect("indirect", 4, 192);
}

/* The nine of valgrind's manual (4.2.8, memory leak detection): first block, second block. */
static void cases(void) {
    enum way { START, INTO, NO };
    static const enum way ways[9][2] = {{NO, START},   {START, START}, {NO, NO},     {NO, START}, {NO, INTO},
                                        {START, INTO}, {INTO, START},  {INTO, INTO}, {NO, INTO}};
    static const bool single[9] = {[0] = true, [2] = true, [4] = true}; /* of the first, third, fifth: no AAA */
    for (int i = 0; i < 9; i++) {
        struct node *last = new_node(NULL, NULL), *first = single[i] ? NULL : new_node(NULL, NULL);
        char *to_last = (char *)last + (ways[i][1] == INTO ? 16 : 0);
        char *to_first = (char *)first + (ways[i][0] == INTO ? 16 : 0);
        if (single[i] && ways[i][1] != NO) globals[i] = to_last;
        if (!single[i]) first->left = (struct node *)to_last;
        if (!single[i] && ways[i][0] != NO) globals[i] = to_first;
    }
    expect("reachable", 4, 4 * 48);
    expect("possible", 6, 6 * 48);
    expect("lost", 3, 3 * 48);
    expect("indirect", 2, 2 * 48);
}

/* Two rings that share no node, one with a ring of its own hanging on it, and one that points to itself. */
static void cycle(void) {
    struct node *a = new_node(NULL, NULL), *b = new_node(a, NULL), *c = new_node(b, NULL);
    a->left = c;
    struct node *d = new_node(NULL, NULL), *e = new_node(d, NULL), *f = new_node(NULL, NULL);
    d->left = e;
    f->left = f;
    e->right = f;
    struct node *self = new_node(NULL, NULL);
    self->left = self;
    expect("lost", 3, 3 * 48);
    expect("indirect", 4, 4 * 48);
}

static void tree(void) {
    new_tree(6);
    expect("lost", 1, 48);
    expect("indirect", 62, 62 * 48);
}

static void shared_child(void) {
    struct node *child = new_node(NULL, NULL);
    new_node(child, NULL);
    new_node(child, NULL);
    expect("lost", 2, 96);
    expect("indirect", 1, 48);
}

static void held_and_lost_parent(void) {
    struct node *child = new_node(NULL, NULL);
    new_node(child, NULL);
    global = child;
    expect("lost", 1, 48);
    expect("reachable", 1, 48);
}

/* ---- pointers of all kinds ---- */

static void interior(void) {
    global = (char *)malloc(3000) + 100;
    globals[0] = (char *)malloc(100) + 99;
    expect("possible", 2, 3100);
}

static void interior_chain(void) {
    struct node *second = new_list(3);
    struct node *first = new_node(second, NULL);
    global = first->more;
    expect("possible", 4, 192);
}

static void interior_and_start(void) {
    char *block = malloc(500);
    global = block + 40;
    globals[0] = block;
    expect("reachable", 1, 500);
}

static void past_the_end(void) {
    char *block = malloc(64);
    global = block + 64;
    expect("lost", 1, 64);
}

static void no_bytes(void) {
    global = malloc(0);
    malloc(0);
    expect("reachable", 1, 0);
    expect("lost", 1, 0);
}

static void unaligned(void) {
    static char bytes[32];
    void *block = malloc(200);
    memcpy(bytes + 4 + (16 - (uintptr_t)bytes % 8) % 8, &block, sizeof block);
    expect("lost", 1, 200);
}

static void xored(void) {
    hidden_global = hidden(malloc(77));
    expect("lost", 1, 77);
}

static void length64(void) {
    uint64_t *block = malloc(8 + 1000);
    *block = 1000;
    global = block + 1;
    expect("reachable", 1, 1008);
}

static void array_count(void) {
    uint64_t *block = malloc(8 + 10 * 24);
    *block = 10;
    global = block + 1;
    expect("reachable", 1, 248);
}

static void old_string(void) {
    struct {
        size_t length, capacity, references;
        char text[];
    } *string = malloc(24 + 30 + 1);
    string->length = 5;
    string->capacity = 30;
    string->references = 0;
    global = string->text;
    expect("reachable", 1, 55);
}

static void old_string_damaged(void) {
    size_t *string = malloc(24 + 30 + 1);
    string[0] = 31;
    string[1] = 30;
    string[2] = 0;
    global = string + 3;
    expect("possible", 1, 55);
}

/* ---- where pointers lie ---- */

static void mapped(void) {
    void **page = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[70000] = new_list(5);
    expect("reachable", 5, 240);
}

static void mapped_shared(void) {
    void **page = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    page[70000] = new_list(5);
    expect("reachable", 5, 240);
}

static void mapped_read_only(void) {
    void **page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[7] = malloc(123);
    mprotect(page, 4096, PROT_READ);
    expect("lost", 1, 123);
}

static void unmapped(void) {
    void **page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[7] = malloc(123);
    munmap(page, 4096);
    expect("lost", 1, 123);
}

/* A freed block still holds the pointer: of a pooled size, and of a large one. */
NOINLINE static void leave_in_freed(size_t bytes) {
    void **block = malloc(bytes);
    block[bytes / 8 - 3] = malloc(333);
    global = block;
    free(block);
}
static void freed_holder(void) {
    for (int i = 0; i < 200; i++) globals[i % 64] = malloc(320);
    leave_in_freed(320);
    leave_in_freed(40000);
    global = NULL;
    expect("lost", 136 + 2, 136 * 320 + 2 * 333);
    expect("reachable", 64, 64 * 320);
}

static void grown_array(void) {
    struct node **array = NULL;
    for (int i = 0; i < 5000; i++) {
        array = realloc(array, (size_t)(i + 1) * sizeof *array);
        array[i] = new_node(NULL, NULL);
    }
    global = array;
    expect("reachable", 5001, 5000 * 48 + 40000);
}

static void shrunk_array(void) {
    struct node **array = malloc(1000 * sizeof *array);
    for (int i = 0; i < 1000; i++) array[i] = new_node(NULL, NULL);
    global = realloc(array, 10 * sizeof *array);
    expect("reachable", 11, 480 + 80);
    expect("lost", 990, 990 * 48);
}

static void all_sizes(void) {
    struct node *chain = NULL;
    unsigned long bytes = 0, count = 0;
    for (size_t size = sizeof(struct node); size < 300000; size += size / 5, count++) {
        for (int again = 0; again < 100; again++) {
            struct node *next = calloc(1, size);
            next->left = chain;
            chain = next;
        }
        bytes += size;
    }
    global = chain;
    expect("reachable", count * 100, bytes * 100);
}

static void aligned(void) {
    void *block = NULL;
    globals[0] = aligned_alloc(4096, 8192);
    globals[1] = memalign(256, 300);
    if (posix_memalign(&block, 64, 100) != 0) return;
    globals[2] = (char *)block + 64;
    aligned_alloc(4096, 4096);
    expect("reachable", 2, 8492);
    expect("possible", 1, 100);
    expect("lost", 1, 4096);
}

static void large(void) {
    void **block = calloc(64, 1 << 20);
    block[5000000] = malloc(55);
    global = block;
    expect("reachable", 2, (64ul << 20) + 55);
}

static void plugin_global(void) {
    void *plugin = dlopen(getenv("LEAKS_PLUGIN"), RTLD_NOW);
    void **place = plugin != NULL ? dlsym(plugin, "plugin_global") : NULL;
    if (place == NULL) _exit(95);
    *place = new_list(4);
    expect("reachable", 4, 192);
}

/* In a list of modules of its own, with a libc of its own, which the program's own list does not have. */
static void plugin_in_a_namespace(void) {
    void *plugin = dlmopen(LM_ID_NEWLM, getenv("LEAKS_PLUGIN"), RTLD_NOW);
    void **place = plugin != NULL ? dlsym(plugin, "plugin_data") : NULL;
    if (place == NULL) _exit(95);
    *place = new_list(4);
    expect("reachable", 4, 192);
}

static void plugin_thread_local(void) {
    void *plugin = dlopen(getenv("LEAKS_PLUGIN"), RTLD_NOW);
    void (*keep)(void *) = plugin != NULL ? (void (*)(void *))dlsym(plugin, "plugin_keep") : NULL;
    if (keep == NULL) _exit(95);
    keep(new_list(4));
    expect("reachable", 4, 192);
}

static __thread struct node *volatile own_list;
static void thread_local_variable(void) {
    own_list = new_list(7);
    expect("reachable", 7, 336);
}

static void key(void) {
    pthread_key_t few;
    pthread_key_create(&few, NULL);
    pthread_setspecific(few, new_list(3));
    expect("reachable", 3, 144);
}

/* ---- stacks ---- */

NOINLINE static void end_here(struct node *held) {
    expect("reachable", 3, 144);
    exit(held == NULL);
}
static void own_stack(void) {
    struct node *volatile held = new_list(3);
    end_here(held);
}

NOINLINE static void end_at_once(struct node *held) {
    expect("reachable", 3, 144);
    _exit(held == NULL);
}
static void own_stack_at_once(void) {
    struct node *volatile held = new_list(3);
    end_at_once(held);
}

NOINLINE static void leave_below(int depth) {
    struct node *volatile gone[16];
    if (depth > 0) leave_below(depth - 1);
    for (int i = 0; i < 16; i++) gone[i] = new_node(NULL, NULL);
    (void)gone;
}
static void below_the_stack(void) {
    leave_below(60); /* beyond what main wipes, and deeper than handlers of exit reach */
    expect("lost", 61 * 16, 61 * 16 * 48);
}

static sem_t ready;
static int never[2];

static void start(void *(*body)(void *), void *argument) {
    pthread_t thread;
    if (pipe(never) != 0 || sem_init(&ready, 0, 0) != 0) _exit(94);
    if (pthread_create(&thread, NULL, body, argument) != 0) _exit(94);
    sem_wait(&ready);
}

NOINLINE static void wait_for_ever(void) {
    char byte;
    sem_post(&ready);
    if (read(never[0], &byte, 1) == 1) _exit(93);
}

static void *hold_on_stack(void *unused) {
    struct node *volatile held = new_list(6);
    wait_for_ever();
    return held != NULL ? unused : NULL;
}
static void stack_of_a_blocked_thread(void) {
    start(hold_on_stack, NULL);
    expect("reachable", 6, 288);
}

static void *hold_in_register(void *unused) {
    register struct node *held __asm__("r14") = new_list(6);
    __asm__ volatile("" : "+r"(held));
    sem_post(&ready);
    for (;;) /* no call: the register is the only place there is */
        __asm__ volatile("xorl %%eax, %%eax\n\tmovl %0, %%edi\n\tleaq -1(%%rsp), %%rsi\n\tmovl $1, %%edx\n\tsyscall"
                         : "+r"(never[0]), "+r"(held)
                         :
                         : "rax", "rdi", "rsi", "rdx", "rcx", "r11", "memory");
    return unused;
}
NOINLINE static void wipe_thread_stack(void) {
    volatile char room[8192];
    memset((char *)room, 0, sizeof room);
}
static void *hold_in_register_only(void *unused) {
    wipe_thread_stack();
    return hold_in_register(unused);
}
static void register_of_a_blocked_thread(void) {
    start(hold_in_register_only, NULL);
    expect("reachable", 6, 288);
}

static void *hold_thread_local(void *unused) {
    pthread_key_t keys[40];
    for (int i = 0; i < 40; i++) pthread_key_create(&keys[i], NULL);
    own_list = new_list(2);
    pthread_setspecific(keys[0], new_node(NULL, NULL));
    pthread_setspecific(keys[39], new_node(NULL, NULL)); /* in a second block, which is libc's */
    wait_for_ever();
    return unused;
}
static void thread_locals_of_a_blocked_thread(void) {
    start(hold_thread_local, NULL);
    expect("reachable", 4, 192);
}

/* Frames of a thread that has ended, in a stack that libc keeps for the next one. */
static void *leave_on_stack(void *unused) {
    struct node *volatile gone[100];
    for (int i = 0; i < 100; i++) gone[i] = new_node(NULL, NULL);
    (void)gone;
    return unused;
}
static void ended_thread(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, leave_on_stack, NULL) != 0) _exit(94);
    pthread_join(thread, NULL);
    expect("lost", 100, 4800);
}

static void *return_a_list(void *unused) { return unused != NULL ? unused : new_list(3); }
static void result_of_a_thread(void) {
    pthread_t thread;
    void *result;
    if (pthread_create(&thread, NULL, return_a_list, NULL) != 0) _exit(94);
    pthread_join(thread, &result);
    globals[3] = result;
    expect("reachable", 3, 144);
}

/* Eight threads that move what they hold about between stack, registers and the heap all the time. */
static void *churn(void *argument) {
    struct node *own[8] = {0}, *parked = new_node(NULL, NULL);
    unsigned seed = (unsigned)(uintptr_t)argument;
    for (int i = 0; i < 8; i++) own[i] = new_node(NULL, NULL);
    for (unsigned long round = 0;; round++) {
        unsigned i = rand_r(&seed) % 8, j = rand_r(&seed) % 8;
        struct node *taken = own[i];
        own[i] = NULL;
        if (round % 3 == 0) {
            parked->left = taken;
            taken = NULL;
        }
        struct node *other = own[j];
        own[j] = taken != NULL ? taken : parked->left;
        own[i] = i == j ? own[i] : other;
        parked->left = NULL;
        if (round == 1000) sem_post(&ready);
        free(malloc(round % 3000));
    }
    return parked;
}
static void busy_threads(void) {
    sem_init(&ready, 0, 0);
    for (uintptr_t i = 0; i < 8; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, churn, (void *)(i + 1)) != 0) _exit(94);
    }
    for (int i = 0; i < 8; i++) sem_wait(&ready);
    for (int i = 0; i < 8; i++) malloc(4321);
    expect("lost", 8, 8 * 4321);
}

#define CASE(name) {#name, name}
const struct leak_case leak_cases[] = {
    CASE(trivial), CASE(cases), CASE(cycle), CASE(list), CASE(long_list), CASE(held_list), CASE(ring), CASE(ring_with_a_tail),
    CASE(tree), CASE(shared_child), CASE(held_and_lost_parent), CASE(interior), CASE(interior_chain),
    CASE(interior_and_start), CASE(past_the_end), CASE(no_bytes), CASE(unaligned), CASE(xored),
    CASE(length64), CASE(array_count), CASE(old_string), CASE(old_string_damaged), CASE(mapped),
    CASE(mapped_shared), CASE(mapped_read_only), CASE(unmapped), CASE(freed_holder), CASE(grown_array),
    CASE(shrunk_array), CASE(all_sizes), CASE(aligned), CASE(large), CASE(plugin_global),
    CASE(plugin_in_a_namespace), CASE(plugin_thread_local), CASE(thread_local_variable), CASE(key), CASE(own_stack),
    CASE(own_stack_at_once), CASE(below_the_stack), CASE(stack_of_a_blocked_thread),
    CASE(register_of_a_blocked_thread), CASE(thread_locals_of_a_blocked_thread), CASE(ended_thread),
    CASE(result_of_a_thread), CASE(busy_threads),
};
const size_t leak_case_count = sizeof leak_cases / sizeof *leak_cases;
