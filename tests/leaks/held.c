/* Objects held in each of the ways there are, for why.py: what holds them is said by name. With an argument it
   prints the address of one and waits for its standard input's end, to be asked about while it runs. */
#include <poolprof/poolprof.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cases.h"

struct node {
    struct node *next;
    char more[40];
};

static struct node *volatile held_list;
struct {
    char before[24];
    void *volatile table;
} held_table;
static __thread void *volatile thread_variable;
static void *volatile middle;

NOINLINE static void *make_leaf(size_t bytes) { return memset(malloc(bytes), 1, bytes); }

NOINLINE static struct node *make_list(int length) {
    struct node *head = NULL;
    for (int i = 0; i < length; i++) {
        struct node *node = calloc(1, sizeof *node);
        node->next = head;
        head = node;
    }
    return head;
}

/* A table of two objects that share a third; the table alone retains all of it. */
NOINLINE static void **make_table(void) {
    void **table = calloc(10, sizeof *table), **left = calloc(2, sizeof *left), **right = calloc(3, sizeof *right);
    table[3] = left;
    table[4] = right;
    left[1] = right[2] = make_leaf(1000);
    return table;
}

/* Held by the first and the second, so neither retains it; what leads to it is short by the second. */
NOINLINE static void make_shared(void) {
    void **last = (void **)held_list;
    while (*last != NULL) last = *last;
    *last = NULL;
    ((void **)held_list)[2] = make_leaf(2000);
    ((void **)held_table.table)[9] = ((void **)held_list)[2];
}

NOINLINE static void make_lost(void) {
    void *volatile *first = calloc(4, sizeof *first), *volatile *second = calloc(5, sizeof *second);
    first[0] = (void *)second;
    second[0] = make_leaf(3000);
}

NOINLINE static void *wait_with_it(void *barrier) {
    void *volatile local = make_leaf(4000);
    thread_variable = make_leaf(5000);
    pthread_barrier_wait(barrier);
    pause();
    return local;
}

NOINLINE static void end_with_it(void) {
    void *volatile local = make_leaf(7000);
    (void)local;
    exit(0);
}

int main(int argc, char **argv) {
    static pthread_barrier_t barrier;
    pthread_t thread;
    (void)argv;
    held_list = make_list(300);
    held_table.table = make_table();
    make_shared();
    make_lost();
    middle = (char *)make_leaf(6000) + 8;
    poolprof_root("table", (void *)&held_table, sizeof held_table);
    poolprof_root("list", held_list, 1);
    poolprof_root("list again", (void *)&held_list, sizeof held_list);
    poolprof_root("replaced", (void *)&middle, 8);
    poolprof_root("middle", (void *)&middle, 8);
    poolprof_root("ended", held_list->next, 8);
    poolprof_root_end(held_list->next);
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&thread, NULL, wait_with_it, &barrier);
    pthread_setname_np(thread, "keeper");
    pthread_barrier_wait(&barrier);
    if (argc > 1) {
        char c;
        printf("%p\n", ((void **)((void **)held_table.table)[3])[1]);
        fflush(stdout);
        if (read(0, &c, 1) < 0) return 1;
    }
    end_with_it();
}
