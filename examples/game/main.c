/*
 * The game's command line and main loop. Without options: 600 frames of seed 1, no leaks, as fast
 * as they go, and one line with the checksum. `--leak` plants mistakes, `--truth` says what they
 * left.
 */
#include "game.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct options {
    uint64_t seed;
    int frames, hz, crash_at, ballast;
    bool fps, truth;
};

static void print_help(void)
{
    fputs("game: a headless shooter that allocates like one\n"
          "  --seed N       seed of all chance (1)\n"
          "  --frames N     frames to run (600)\n"
          "  --hz N         keep to so many frames a second (0: as fast as possible)\n"
          "  --fps          print frames per second, and how long a frame took\n"
          "  --ballast N    hold N MiB besides, as a level's textures would be\n"
          "  --leak LIST    plant leaks: none, all, or some of\n                 ", stdout);
    leak_print_kinds();
    fputs("\n  --truth        print what the planted leaks left: truth KIND CLASS OBJECTS BYTES\n"
          "  --crash-at N   follow a null pointer on frame N\n", stdout);
}

static long number_or_die(const char *option, const char *text)
{
    char *end;
    long value;

    errno = 0;
    value = strtol(text, &end, 10);
    if (errno || *end || end == text || value < 0 || value > 1000000000) {
        fprintf(stderr, "game: --%s needs a number up to 1000000000, not \"%s\"\n", option, text);
        exit(2);
    }
    return value;
}

static struct options parse_options(int argc, char **argv)
{
    static const struct option table[] = {
        {"seed", 1, NULL, 's'}, {"frames", 1, NULL, 'n'}, {"hz", 1, NULL, 'z'},
        {"fps", 0, NULL, 'f'},  {"ballast", 1, NULL, 'b'},  {"leak", 1, NULL, 'l'},   {"truth", 0, NULL, 't'},
        {"crash-at", 1, NULL, 'c'}, {"help", 0, NULL, 'h'}, {0}};
    struct options options = {.seed = 1, .frames = 600, .crash_at = -1};
    int index, letter;

    while ((letter = getopt_long(argc, argv, "", table, &index)) != -1)
        switch (letter) {
        case 's': options.seed = (uint64_t)number_or_die("seed", optarg); break;
        case 'n': options.frames = (int)number_or_die("frames", optarg); break;
        case 'z': options.hz = (int)number_or_die("hz", optarg); break;
        case 'c': options.crash_at = (int)number_or_die("crash-at", optarg); break;
        case 'f': options.fps = true; break;
        case 'b': options.ballast = (int)number_or_die("ballast", optarg); break;
        case 't': options.truth = true; break;
        case 'h': print_help(); exit(0);
        case 'l':
            if (leak_choose(optarg))
                break;
            fprintf(stderr, "game: --leak %s: unknown kind; see --help\n", optarg);
            exit(2);
        default: exit(2);
        }
    return options;
}

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void sleep_until(double time_s)
{
    double left_s = time_s - now_s();

    if (left_s > 0)
        nanosleep(&(struct timespec){(time_t)left_s, (long)((left_s - (time_t)left_s) * 1e9)},
                  NULL);
}

/* ---- ballast: blocks that are there, filled and otherwise left alone ---- */

enum { BALLAST_BLOCK = 64 * 1024 };

static void **ballast_create(size_t blocks)
{
    void **ballast = must_alloc((blocks + 1) * sizeof *ballast);

    for (size_t i = 0; i < blocks; i++)
        memset(ballast[i] = must_alloc(BALLAST_BLOCK), (int)i, BALLAST_BLOCK);
    ballast[blocks] = NULL;
    return ballast;
}

static void ballast_destroy(void **ballast)
{
    for (size_t i = 0; ballast[i]; i++)
        free(ballast[i]);
    free(ballast);
}

/* ---- frame times ---- */

static int by_time(const void *left, const void *right)
{
    float a = *(const float *)left, b = *(const float *)right;

    return (a > b) - (a < b);
}

static void print_frame_times(float *ms, int count)
{
    qsort(ms, (size_t)count, sizeof *ms, by_time);
    printf("frame ms: median %.3f p99 %.3f max %.3f\n", ms[count / 2], ms[count - 1 - count / 100],
           ms[count - 1]);
}

/* Never inlined, so that the frames that held pointers to lost things are gone when it returns. */
static void __attribute__((noinline)) play(const struct options *options)
{
    static struct world world;
    void **ballast = ballast_create((size_t)options->ballast * (1024 * 1024 / BALLAST_BLOCK));
    float *frame_ms = must_alloc(((size_t)options->frames + 1) * sizeof *frame_ms);
    double start_s = now_s();

    pools_init();
    world_init(&world, options->seed);
    service_start();
    for (int frame = 0; frame < options->frames; frame++) {
        if (frame == options->crash_at)
            *(volatile int *)NULL = frame;
        double begun_s = now_s();
        game_frame();
        world_step(&world);
        frame_ms[frame] = (float)((now_s() - begun_s) * 1000);
        if (options->hz)
            sleep_until(start_s + (double)(frame + 1) / options->hz);
    }
    double seconds = now_s() - start_s;
    service_stop();
    world_fini(&world);
    printf("checksum %016llx frames %d kills %ld score %ld\n",
           (unsigned long long)(world.checksum ^ service_sound_checksum()), world.frame,
           world.kills, world.score);
    if (options->fps) {
        printf("fps %.1f\n", options->frames / seconds);
        if (options->frames > 0)
            print_frame_times(frame_ms, options->frames);
    }
    free(frame_ms);
    ballast_destroy(ballast);
    memset(&world, 0, sizeof(world));
}

/* Dead stack may still hold addresses of lost blocks, and exit handlers will lie on it. */
static void __attribute__((noinline)) scrub_stack(void)
{
    volatile char dead[64 * 1024];

    for (size_t i = 0; i < sizeof(dead); i++)
        dead[i] = 0;
}

int main(int argc, char **argv)
{
    static char stdout_buffer[4096];    /* stdio would take its buffer from the heap and keep it */
    struct options options;

    setvbuf(stdout, stdout_buffer, _IOLBF, sizeof(stdout_buffer));
    options = parse_options(argc, argv);
    play(&options);
    if (options.truth)
        leak_print_truth();
    scrub_stack();
    return 0;
}
