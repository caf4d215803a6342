// One program for all ways to die (death.py); each leaves 5 blocks of 100 bytes, 3 of 70,000 and 1 of C++.
#include <csetjmp>
#include <cstdlib>
#include <pthread.h>
#include <signal.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "expect.h"

extern "C" {
NOINLINE void *leak_small(void) { return malloc(100); }
NOINLINE void *leak_large(void) { return malloc(70000); }
NOINLINE void *leak_new(void) { return operator new(33); }
NOINLINE void *freed_at_exit(void) { return malloc(1000); }
}

static void *late;
static void give_back() { free(late); }

static void *exit_from_thread(void *) { exit(23); }
static void *last_thread(void *) {
    usleep(100000);
    return nullptr;
}

NOINLINE static int overflow(volatile char *up) {
    volatile char room[4096];
    room[0] = up ? up[0] : 1;
    return overflow(room) + room[0];
}

static void die(const char *how, char **argv) {
    pthread_t thread;
    const char *name = how;
    if (!strcmp(name, "return")) return;
    if (!strcmp(name, "exit")) exit(23);
    if (!strcmp(name, "exit_thread")) {
        pthread_create(&thread, nullptr, exit_from_thread, nullptr);
        for (;;) pause();
    }
    if (!strcmp(name, "pthread_exit")) {
        pthread_create(&thread, nullptr, last_thread, nullptr);
        pthread_exit(nullptr);
    }
    if (!strcmp(name, "_exit")) _exit(23);
    if (!strcmp(name, "_Exit")) _Exit(23);
    if (!strcmp(name, "quick_exit")) quick_exit(23);
    if (!strcmp(name, "raw_exit")) syscall(SYS_exit_group, 23);
    if (!strcmp(name, "abort")) abort();
    if (!strcmp(name, "throw")) throw std::runtime_error("nobody catches this");
    if (!strcmp(name, "segv")) *reinterpret_cast<volatile int *>(16) = 1;
    if (!strcmp(name, "overflow")) overflow(nullptr);
    if (!strcmp(name, "fpe")) raise(SIGFPE);
    if (!strcmp(name, "exec")) execl("/bin/sh", "sh", "-c", "exit 23", static_cast<char *>(nullptr));
    if (!strcmp(name, "exec_failed")) { // and the program goes on, tracked as before
        execl("/does/not/exist", "x", static_cast<char *>(nullptr));
        execlp("does-not-exist-either", "x", static_cast<char *>(nullptr));
        sink = leak_small();
        exit(23);
    }
    if (!strcmp(name, "wait")) {
        if (write(1, "ready\n", 6) != 6) _exit(98);
        for (;;) pause(); // the driver kills it
    }
    _exit(97);
}

int main(int argc, char **argv) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    late = freed_at_exit();
    atexit(give_back);
    for (int i = 0; i < 5; i++) sink = leak_small();
    for (int i = 0; i < 3; i++) sink = leak_large();
    sink = leak_new();
    for (int i = 0; i < 1000; i++) free(malloc(static_cast<std::size_t>(i) * 5));
    die(argc > 1 ? argv[1] : "return", argv);
    return 0;
}
