/* For scan.sh. `heap MB THREADS`: that much, and threads that make, move and free lists; tells how long a fork
   takes. `objects N order|array|random`: a chain through so many as they were made; an array of pointers to them in no
   order; a chain in no order. Then waits for the end of its input. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 65536

struct node {
    struct node *next;
    long words[5];
};
static struct node *volatile chain;
static void **volatile blocks;

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void *churn(void *argument) {
    struct node *own = NULL;
    unsigned seed = (unsigned)(size_t)argument;
    for (;;) {
        struct node *node = calloc(1, sizeof *node);
        node->next = own;
        own = node;
        for (unsigned i = rand_r(&seed) % 3; own != NULL && i > 0; i--) {
            struct node *gone = own;
            own = own->next;
            free(gone);
        }
    }
    return NULL;
}

static double fork_ms(void) {
    double least = 1e9;
    for (int i = 0; i < 7; i++) {
        double begun = now_ms();
        pid_t child = fork();
        if (child == 0) _exit(0);
        double took = now_ms() - begun;
        if (took < least) least = took;
        waitpid(child, NULL, 0);
    }
    return least;
}

static void heap(size_t count, long threads) {
    blocks = malloc(count * sizeof *blocks);
    for (size_t i = 0; i < count; i++) memset(blocks[i] = malloc(BLOCK), 1, BLOCK);
    printf("fork %.2f\n", fork_ms());
    for (long i = 1; i <= threads; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, churn, (void *)i);
    }
}

enum form { ORDER, ARRAY, RANDOM };
static void objects(size_t count, enum form form) {
    struct node **all = malloc(count * sizeof *all);
    for (size_t i = 0; i < count; i++) all[i] = malloc(sizeof **all);
    for (size_t i = count - 1; form != ORDER && i > 0; i--) {
        size_t other = ((size_t)rand() << 20 ^ (size_t)rand()) % (i + 1);
        struct node *swap = all[i];
        all[i] = all[other];
        all[other] = swap;
    }
    if (form == ARRAY) {
        blocks = (void **)all;
        return;
    }
    for (size_t i = 0; i < count; i++) all[i]->next = i + 1 < count ? all[i + 1] : NULL;
    chain = all[0];
    free(all);
}

int main(int argc, char **argv) {
    char byte;
    if (argc != 4) return 2;
    if (strcmp(argv[1], "heap") == 0) heap((size_t)atol(argv[2]) * (1048576 / BLOCK), atol(argv[3]));
    else objects((size_t)atol(argv[2]), argv[3][0] == 'o' ? ORDER : argv[3][0] == 'a' ? ARRAY : RANDOM);
    puts("ready");
    fflush(stdout);
    if (read(0, &byte, 1) < 0) return 1;
    _exit(0);
}
