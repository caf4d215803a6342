/*
 * launch REPORT LIMIT_S PROGRAM ARGS...: runs a program, writes "wall_ms cpu_ms rss_kib status" to
 * REPORT; status is as a shell gives it. bench.py's own fork would not do: ru_maxrss survives
 * exec, so everything smaller than a Python would seem as large as one. LD_PRELOAD of the program
 * comes in BENCH_PRELOAD, so that this process is not measured along. SIGTERM is passed on to the
 * program; after LIMIT_S it is killed.
 */
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static volatile pid_t child;

static void pass_on(int number)
{
    if (child > 0)
        kill(child, number == SIGALRM ? SIGKILL : number);
}

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static double to_ms(struct timeval time)
{
    return (double)time.tv_sec * 1e3 + (double)time.tv_usec / 1e3;
}

int main(int argc, char **argv)
{
    const char *preload = getenv("BENCH_PRELOAD");
    struct rusage usage;
    int status, problem;
    pid_t started;

    if (argc < 4)
        return 2;
    FILE *report = fopen(argv[1], "we");
    if (!report)
        return 2;
    if (preload)
        setenv("LD_PRELOAD", preload, 1);
    unsetenv("BENCH_PRELOAD");
    signal(SIGTERM, pass_on);
    signal(SIGALRM, pass_on);
    double start_ms = now_ms();
    problem = posix_spawnp(&started, argv[3], NULL, NULL, argv + 3, environ);
    if (problem) {
        fprintf(stderr, "launch: %s: %s\n", argv[3], strerror(problem));
        return 127;
    }
    child = started;
    alarm((unsigned)atoi(argv[2]));
    while (wait4(started, &status, 0, &usage) < 0)
        ;                       /* only EINTR: the child is there until it is waited for */
    double wall_ms = now_ms() - start_ms;
    status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    fprintf(report, "%.3f %.3f %ld %d\n", wall_ms, to_ms(usage.ru_utime) + to_ms(usage.ru_stime),
            usage.ru_maxrss, status);
    return fclose(report) ? 2 : status;
}
