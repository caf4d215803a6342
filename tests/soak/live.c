/* For live.py: threads and children that come and go, and a slow leak, until standard input ends. With an argument it
   is one of the children. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { KEPT = 2000, BLOCKS = 200, STEP_MS = 20, STEPS_PER_CHILD = 20, CHILD_MS = 600 };

static _Atomic(void *) kept[KEPT];
static void *volatile last;

static void pause_ms(long ms) {
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

__attribute__((noinline)) static void *make(size_t bytes) { return memset(malloc(bytes), 1, bytes); }
__attribute__((noinline)) static void lose(void) { last = make(48); }

/* What one thread makes another frees. */
static void *work(void *seed) {
    unsigned state = (unsigned)(size_t)seed;
    for (int i = 0; i < BLOCKS; i++) {
        size_t bytes = 16 + (size_t)rand_r(&state) % 4000;
        free(atomic_exchange(&kept[(unsigned)rand_r(&state) % KEPT], make(bytes)));
    }
    return NULL;
}

static void start_thread(size_t seed) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, (void *)seed) == 0) pthread_detach(thread);
}

static void start_child(const char *self) {
    if (fork() == 0) {
        execl(self, self, "child", NULL);
        _exit(127);
    }
}

static int be_child(void) {
    for (size_t i = 0; i < 20; i++) {
        start_thread(i + (size_t)getpid());
        pause_ms(CHILD_MS / 20);
    }
    lose();
    return 0;
}

int main(int argc, char **argv) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    (void)argv;
    if (argc > 1) return be_child();
    puts("ready");
    fflush(stdout);
    for (size_t step = 0; poll(&input, 1, STEP_MS) == 0; step++) {
        start_thread(step);
        if (step % STEPS_PER_CHILD == 0) {
            lose();
            start_child("/proc/self/exe");
        }
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
    while (wait(NULL) > 0)
        ;
    return 0;
}
