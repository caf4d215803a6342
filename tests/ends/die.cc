// One program for all ways to die (deaths.py). However it ends these are outstanding: 5 x 100 (leak_small), 3 x
// 70,000 (leak_large), 1 x 33 (leak_new) of the main thread, 7 x 48 (leak_ended) of a thread that has ended,
// 2 x 3,000 (leak_living) of one that still lives; 1 x 1,000 (freed_at_exit) unless atexit handlers run.
// forked:WAY: all of it in a forked child; its parent prints its pid when it is dead, and its status (a signal as negative
// number) when it has been told to reap it.
#undef NDEBUG
#include <cassert>
#include <cstdlib>
#include <exception>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "../preload/expect.h"

extern "C" {
NOINLINE void *leak_small(void) { return malloc(100); }
NOINLINE void *leak_large(void) { return malloc(70000); }
NOINLINE void *leak_new(void) { return operator new(33); }
NOINLINE void *leak_ended(void) { return malloc(48); }
NOINLINE void *leak_living(void) { return malloc(3000); }
NOINLINE void *freed_at_exit(void) { return malloc(1000); }
void __stack_chk_fail(void) __attribute__((noreturn));
void *__memcpy_chk(void *, const void *, size_t, size_t);
}

static void *late;
static void give_back() { free(late); }
static pthread_t main_thread;
static pthread_barrier_t barrier;

static void *ended(void *) {
    for (int i = 0; i < 7; i++) sink = leak_ended();
    return nullptr;
}
static volatile int leaving;
static void *living(void *) {
    for (int i = 0; i < 2; i++) sink = leak_living();
    pthread_barrier_wait(&barrier);
    while (!leaving) usleep(20000);
    return nullptr;
}

NOINLINE static int overflow(volatile char *up) {
    volatile char room[4096];
    room[0] = up ? up[0] : 1;
    return overflow(room) + room[0];
}

static void *thread_exit(void *) { exit(23); }
static void *thread__exit(void *) { _exit(23); }
static void *thread_overflow(void *) { return reinterpret_cast<void *>(static_cast<long>(overflow(nullptr))); }
static void *thread_exec(void *) {
    execl("/bin/sh", "sh", "-c", "exit 23", static_cast<char *>(nullptr));
    _exit(97);
}
static void *thread_last(void *) {
    pthread_join(main_thread, nullptr);
    usleep(50000);
    exit(23);
}
static void *race(void *) {
    pthread_barrier_wait(&barrier);
    _exit(23);
}

static void in_thread(void *(*body)(void *)) {
    pthread_t thread;
    CHECK(pthread_create(&thread, nullptr, body, nullptr) == 0);
    for (;;) pause();
}

static void exit_again() { exit(24); }
static void on_alarm(int) { _exit(23); }
static void on_term(int) { exit(23); }
static void on_fault(int) { _exit(23); }
struct exits_late {
    bool armed = false;
    ~exits_late() { if (armed) exit(24); }
};
static exits_late object;

static void die(const char *name) {
    pthread_t thread;
    if (!strcmp(name, "return")) return;
    if (!strcmp(name, "exit")) exit(23);
    if (!strcmp(name, "exit_minus")) exit(-1);
    if (!strcmp(name, "exit_large")) exit(0x1217);
    if (!strcmp(name, "_exit_minus")) _exit(-1);
    if (!strcmp(name, "quick_minus")) quick_exit(-1);
    if (!strcmp(name, "exit_thread")) in_thread(thread_exit);
    if (!strcmp(name, "_exit_thread")) in_thread(thread__exit);
    if (!strcmp(name, "exec_thread")) in_thread(thread_exec);
    if (!strcmp(name, "overflow_thread")) in_thread(thread_overflow);
    if (!strcmp(name, "pthread_exit")) { // the last thread ends by returning
        leaving = 1;
        pthread_exit(nullptr);
    }
    if (!strcmp(name, "outlived")) { // the main thread is gone when another one calls exit
        main_thread = pthread_self();
        CHECK(pthread_create(&thread, nullptr, thread_last, nullptr) == 0);
        pthread_exit(nullptr);
    }
    if (!strcmp(name, "raw_thread_exit")) { // the same, and nobody told libc
        CHECK(pthread_create(&thread, nullptr, [](void *) -> void * { usleep(50000); exit(23); }, nullptr) == 0);
        syscall(SYS_exit, 5);
    }
    if (!strcmp(name, "_exit")) _exit(23);
    if (!strcmp(name, "_Exit")) _Exit(23);
    if (!strcmp(name, "quick_exit")) quick_exit(23);
    if (!strcmp(name, "raw_exit")) syscall(SYS_exit_group, 23);
    if (!strcmp(name, "_exit_race")) {
        pthread_barrier_destroy(&barrier);
        pthread_barrier_init(&barrier, nullptr, 4);
        for (int i = 0; i < 4; i++) CHECK(pthread_create(&thread, nullptr, race, nullptr) == 0);
        for (;;) pause();
    }
    if (!strcmp(name, "exit_in_atexit")) {
        atexit(exit_again);
        exit(23);
    }
    if (!strcmp(name, "exit_in_destructor")) {
        object.armed = true;
        exit(23);
    }
    if (!strcmp(name, "exit_in_handler")) {
        signal(SIGTERM, on_term);
        raise(SIGTERM);
    }
    if (!strcmp(name, "_exit_in_malloc")) { // a signal handler that ends it in the middle of our code
        struct itimerval soon = {{0, 0}, {0, 20000}};
        signal(SIGALRM, on_alarm);
        setitimer(ITIMER_REAL, &soon, nullptr);
        for (;;) free(malloc(500));
    }
    if (!strcmp(name, "fault_handled")) {
        signal(SIGSEGV, on_fault);
        *reinterpret_cast<volatile int *>(16) = 1;
    }
    if (!strcmp(name, "abort")) abort();
    if (!strcmp(name, "abort_handled")) { // abort() comes back from a handler and kills all the same
        signal(SIGABRT, [](int) {});
        abort();
    }
    if (!strcmp(name, "abort_left")) { // a handler that leaves by _exit: abort it was not
        signal(SIGABRT, on_fault);
        abort();
    }
    if (!strcmp(name, "assert")) assert(!name);
    if (!strcmp(name, "fortify")) {
        char small[4];
        __memcpy_chk(small, "too long for it", 16, sizeof small);
    }
    if (!strcmp(name, "stack_check")) __stack_chk_fail();
    if (!strcmp(name, "terminate")) std::terminate();
    if (!strcmp(name, "throw")) throw std::runtime_error("nobody catches this");
    if (!strcmp(name, "throw_noexcept")) []() noexcept { std::string().at(1); }();
    if (!strcmp(name, "segv")) *reinterpret_cast<volatile int *>(16) = 1;
    if (!strcmp(name, "bus")) {
        int fd = memfd_create("empty", 0);
        auto *page = static_cast<volatile char *>(mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0));
        sink = reinterpret_cast<void *>(static_cast<long>(page[0]));
    }
    if (!strcmp(name, "ill")) __asm__ volatile("ud2");
    if (!strcmp(name, "trap")) __asm__ volatile("int3");
    if (!strcmp(name, "fpe")) {
        volatile int zero = 0;
        sink = reinterpret_cast<void *>(static_cast<long>(7 / zero));
    }
    if (!strcmp(name, "overflow")) overflow(nullptr);
    if (!strcmp(name, "forbidden")) { // a filter of its own that kills it at getppid
        struct sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
                                     BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
                                     BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                                     BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
        struct sock_fprog filter = {4, code};
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
        syscall(SYS_getppid);
    }
    if (!strcmp(name, "cpu_limit")) {
        struct rlimit limit = {1, 1};
        setrlimit(RLIMIT_CPU, &limit);
        for (;;) sink = nullptr;
    }
    if (!strcmp(name, "exec")) execl("/bin/sh", "sh", "-c", "exit 23", static_cast<char *>(nullptr));
    if (!strncmp(name, "signal", 6)) {
        int number = atoi(name + 6);
        signal(number, SIG_DFL);
        kill(getpid(), number);
        for (;;) pause();
    }
    if (!strcmp(name, "eat")) { // until somebody stops us
        for (;;) memset(static_cast<char *>(malloc(1 << 20)), 1, 1 << 20);
    }
    if (!strcmp(name, "wait")) {
        if (write(1, "ready\n", 6) != 6) _exit(98);
        for (;;) pause();
    }
    _exit(97);
}

// Goes on in the child.
static void go_on_in_child() {
    siginfo_t info;
    int status = 0;
    pid_t child = fork();
    if (child == 0) return;
    CHECK(child > 0 && waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0);
    printf("%d\n", child);
    fflush(stdout);
    getchar();
    CHECK(waitpid(child, &status, 0) == child);
    printf("%d\n", WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status));
    exit(0);
}

int main(int argc, char **argv) {
    pthread_t thread;
    const char *way = argc > 1 ? argv[1] : "return";
    struct rlimit none = {0, 0};
    if (!strncmp(way, "forked:", 7)) {
        way += 7;
        go_on_in_child();
    }
    setrlimit(RLIMIT_CORE, &none);
    pthread_barrier_init(&barrier, nullptr, 2);
    late = freed_at_exit();
    atexit(give_back);
    for (int i = 0; i < 5; i++) sink = leak_small();
    for (int i = 0; i < 3; i++) sink = leak_large();
    sink = leak_new();
    CHECK(pthread_create(&thread, nullptr, ended, nullptr) == 0 && pthread_join(thread, nullptr) == 0);
    CHECK(pthread_create(&thread, nullptr, living, nullptr) == 0);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 1000; i++) free(malloc(static_cast<std::size_t>(i) * 5));
    if (argc > 2) fputs("last words\n", stderr);
    die(way);
    return 0;
}
