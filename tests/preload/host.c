/* Prints what a program can see of itself; host.py compares it with and without the library. Threads,
   children, descriptors, signals, limits, environment: all must be the same, at the start of main, after
   allocating, and after a while. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "expect.h"

extern char **environ;

static void show_descriptors(void) {
    DIR *directory = opendir("/proc/self/fd");
    struct dirent *entry;
    CHECK(directory);
    while ((entry = readdir(directory))) {
        char path[300], target[256] = "";
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(directory)) continue;
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        if (readlink(path, target, sizeof target - 1) < 0) continue;
        char *bracket = strchr(target, '[');
        if (bracket) *bracket = 0; /* pipe:[123] */
        printf("descriptor %s %s flags %d\n", entry->d_name, target, fcntl(atoi(entry->d_name), F_GETFL));
    }
    closedir(directory);
}

static void show_status(void) {
    static const char *const keys[] = {"Name", "Umask", "State", "Threads", "SigPnd", "ShdPnd", "SigBlk",
                                       "SigIgn", "SigCgt", "CapEff", "NoNewPrivs", "Seccomp", "Cpus_allowed"};
    char line[512];
    FILE *status = fopen("/proc/self/status", "r");
    CHECK(status);
    while (fgets(line, sizeof line, status))
        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
            if (!strncmp(line, keys[i], strlen(keys[i])) && line[strlen(keys[i])] == ':') fputs(line, stdout);
    fclose(status);
}

static void show_signals(void) {
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    for (int i = 1; i <= 64; i++) {
        struct sigaction action;
        if (sigaction(i, NULL, &action) != 0) continue;
        printf("signal %d %s flags %#x mask %d\n", i,
               action.sa_handler == SIG_DFL ? "default" : action.sa_handler == SIG_IGN ? "ignore" : "handler",
               action.sa_flags, sigismember(&mask, i));
    }
    stack_t alternate;
    sigaltstack(NULL, &alternate);
    printf("alternate stack %d\n", alternate.ss_flags);
}

static void show_process(void) {
    char cwd[4096];
    struct rlimit limit;
    struct rusage usage;
    errno = 0;
    int waited = waitpid(-1, NULL, WNOHANG);
    printf("waitpid %d %s\n", waited, errno == ECHILD ? "ECHILD" : "other");
    errno = 0;
    waited = waitpid(-1, NULL, WNOHANG | WUNTRACED | WCONTINUED);
    printf("waitpid stopped %d %s\n", waited, errno == ECHILD ? "ECHILD" : "other");
    getrusage(RUSAGE_CHILDREN, &usage);
    printf("children used %ld kB\n", usage.ru_maxrss);
    printf("cwd %s\n", getcwd(cwd, sizeof cwd));
    printf("leader %d group %d\n", getsid(0) == getpid(), getpgrp() == getpid());
    printf("nice %d dumpable %d subreaper %d death signal %d\n", getpriority(PRIO_PROCESS, 0),
           prctl(PR_GET_DUMPABLE), ({ int v = -1; prctl(PR_GET_CHILD_SUBREAPER, &v); v; }),
           ({ int v = -1; prctl(PR_GET_PDEATHSIG, &v); v; }));
    for (int i = 0; i < RLIM_NLIMITS; i++)
        if (getrlimit(i, &limit) == 0) printf("limit %d %llu %llu\n", i, (unsigned long long)limit.rlim_cur,
                                              (unsigned long long)limit.rlim_max);
    for (char **variable = environ; *variable; variable++)
        if (strncmp(*variable, "LD_PRELOAD=", 11) && strncmp(*variable, "POOLPROF_", 9) &&
            strncmp(*variable, "PP_", 3))
            printf("environment %s\n", *variable);
}

static void show(const char *when) {
    printf("== %s\n", when);
    show_descriptors();
    show_status();
    show_signals();
    show_process();
    fflush(stdout);
}

NOINLINE static void *leak_one(void) { return malloc(17); }

int main(void) {
    show("start");
    for (int i = 0; i < 100000; i++) free(malloc((size_t)i % 5000));
    sink = leak_one();
    show("after allocating");
    usleep(700000);
    show("later");
    EXPECT_SITE("leak_one", 1, 17);
    return 0;
}
