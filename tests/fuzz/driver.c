/*
 * Runs a fuzz target without libFuzzer: mutations of its seeds, the same for the same --seed.
 *   X_fuzz [--iterations N] [--seed S]   mutate; on a crash the input is in ./crash-input
 *   X_fuzz --write-seeds FOLDER          the seeds as files, for libFuzzer
 *   X_fuzz FILE...                       these inputs, as they are
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#define SEEDS_MAX 64

struct input {
    unsigned char *data;
    size_t bytes;
};

static struct input seeds[SEEDS_MAX];
static size_t seed_count;
static uint64_t state;

static uint64_t next(void) { /* splitmix64 */
    uint64_t x = state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static size_t below(size_t limit) { return limit > 0 ? next() % limit : 0; }

static uint64_t interesting(void) {
    static const uint64_t values[] = {
        0,     1,     2,         7,          255,       256,        4095,
        65535, 65536, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX, UINT64_MAX - 8};
    size_t choice = below(sizeof values / sizeof *values + 2);
    if (choice < sizeof values / sizeof *values) return values[choice];
    return next() >> below(64);
}

/* Most fields are 4 or 8 bytes at a multiple of that. */
static void set_word(struct input *input) {
    uint64_t value = interesting();
    size_t width = next() % 2 ? 8 : 4;
    if (input->bytes < width) return;
    memcpy(input->data + below(input->bytes / width) * width, &value, width);
}

/* Half of the changes go to the first kilobytes, where counts and offsets are. */
static size_t position(const struct input *input) {
    size_t head = input->bytes < 2048 ? input->bytes : 2048;
    return next() % 2 ? below(head) : below(input->bytes);
}

static void mutate(struct input *input) {
    size_t at = position(input);
    if (input->bytes == 0) return;
    switch (next() % 6) {
    case 0: input->data[at] ^= (unsigned char)(1u << below(8)); break;
    case 1: input->data[at] = (unsigned char)next(); break;
    case 2:
    case 3: set_word(input); break;
    case 4: { /* one part over another */
        size_t from = position(input), count = below(256);
        size_t room = input->bytes - (at > from ? at : from);
        memmove(input->data + at, input->data + from, count < room ? count : room);
        break;
    }
    default:
        if (next() % 8 == 0) input->bytes = below(input->bytes + 1);
    }
}

static struct input mutated(void) {
    const struct input *seed = &seeds[below(seed_count)];
    struct input input = {.data = malloc(seed->bytes + 1), .bytes = seed->bytes};
    memcpy(input.data, seed->data, seed->bytes);
    for (size_t changes = 1 + below(1 + below(16)); changes > 0; changes--)
        mutate(&input);
    return input;
}

static void write_file(const char *path, const struct input *input) {
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, input->data, input->bytes) != (ssize_t)input->bytes) {
        perror(path);
        exit(2);
    }
    close(fd);
}

static struct input current;

/* Called by the sanitizers when they found something. */
void __asan_on_error(void);
void __asan_on_error(void) { write_file("crash-input", &current); }

static void on_abort(int number) {
    write_file("crash-input", &current);
    signal(number, SIG_DFL);
    raise(number);
}

static int run_file(const char *path) {
    FILE *from = fopen(path, "rb");
    if (from == NULL) {
        perror(path);
        return 2;
    }
    current.data = malloc(1 << 24);
    current.bytes = fread(current.data, 1, 1 << 24, from);
    fclose(from);
    LLVMFuzzerTestOneInput(current.data, current.bytes);
    free(current.data);
    return 0;
}

static int write_seeds(const char *folder) {
    char path[4096];
    for (size_t i = 0; i < seed_count; i++) {
        snprintf(path, sizeof path, "%s/seed-%zu", folder, i);
        write_file(path, &seeds[i]);
    }
    return 0;
}

static void run(size_t iterations) {
    for (size_t i = 0; i < seed_count; i++) {
        current = seeds[i];
        LLVMFuzzerTestOneInput(current.data, current.bytes);
    }
    for (size_t i = 0; i < iterations; i++) {
        current = mutated();
        LLVMFuzzerTestOneInput(current.data, current.bytes);
        free(current.data);
    }
    printf("%zu seeds, %zu mutations\n", seed_count, iterations);
}

int main(int argc, char **argv) {
    size_t iterations = 1000;
    signal(SIGABRT, on_abort);
    for (; seed_count < SEEDS_MAX; seed_count++) {
        struct input *seed = &seeds[seed_count];
        seed->data = fuzz_seed(seed_count, &seed->bytes);
        if (seed->data == NULL) break;
    }
    state = 1;
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--iterations") == 0 && more)
            iterations = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0 && more) state = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--write-seeds") == 0 && more) return write_seeds(argv[++i]);
        else if (run_file(argv[i]) != 0) return 2;
        else iterations = 0;
    }
    if (iterations > 0) run(iterations);
    for (size_t i = 0; i < seed_count; i++)
        free(seeds[i].data);
    return 0;
}
